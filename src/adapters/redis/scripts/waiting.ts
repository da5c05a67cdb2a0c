/** Who waits for units, and who is told of some: core/lease/waiting.ts. The same in all scripts that bring some. */
export const WAITING = `
local CRUMB = 2000
local hints = {}
local function name_of(key) return string.match(key, ':L:(.*)$') end

local function read_waiting(l)
  l.waiting = {}
  for holder, need, till in string.gmatch(l.waiters, '([0-9a-f]+):(%d+):(%d+)') do
    l.waiting[#l.waiting + 1] = { holder = holder, need = tonumber(need), till = tonumber(till) }
  end
end

local function write_waiting(l)
  local waiters = {}
  for i, w in ipairs(l.waiting) do waiters[i] = w.holder .. ':' .. text(w.need) .. ':' .. text(w.till) end
  l.waiters = #waiters > 0 and table.concat(waiters, ',') or '-'
end

local function drop_waiters(l, own, now)
  if #l.waiting == 0 then return end
  local rest = {}
  for _, w in ipairs(l.waiting) do
    if w.till > now and w.holder ~= own then rest[#rest + 1] = w end
  end
  l.waiting = rest
end

local function wake(l, key, own, now)
  local left, rest, others, woken = available(l, now), {}, false, false
  if left < l.capacity / CRUMB then return end
  drop_waiters(l, '', now)
  for _, w in ipairs(l.waiting) do
    if w.holder ~= own then others = true end
    if w.need > left or w.holder == own then rest[#rest + 1] = w
    else
      woken = true
      hints[#hints + 1] = 'W ' .. name_of(key) .. ' ' .. w.holder .. ' ' .. text(left)
      left = left - w.need
    end
  end
  l.waiting = rest
  if others and not woken and l.kind ~= 'rate' then
    hints[#hints + 1] = 'W ' .. name_of(key) .. '  ' .. text(left)
  end
end

-- Of members of a family, but for those whose names are in but.
local function wake_later(members, family_key, but, now)
  for _, member in ipairs(members) do
    local name = string.match(family_key, ':F:(.*)$') .. '/' .. string.sub(member.label, 2)
    local left = left_of(member, carried_at(member, now), 0, 0)
    if not but[name] and member.awaited_until > now and left >= member.capacity / CRUMB then
      hints[#hints + 1] = 'W ' .. name .. '  ' .. text(left)
    end
  end
end

-- Losing hints costs time alone: one that cannot be published is no error.
local function publish(channel, command)
  if channel == '' then return end
  for _, hint in ipairs(hints) do redis.pcall(command, channel, hint) end
end
`;
