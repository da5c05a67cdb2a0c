"""What all parts of the outsider say and read in the same way."""


class Mismatch(Exception):
    """The sidecar answered something else than the contract says."""


# What has happened at least once: a run in which nothing was refused or nobody went over shows little.
SEEN = set()


def expect(condition, what, *seen):
    if not condition:
        raise Mismatch(f"{what}: {' | '.join(str(each) for each in seen)}")


# What some limit of the policies counts. An answer may list other meters that usage derives: nothing is held of them.
COUNTED = {"usd_micros", "requests", "tokens", "pages", "seats", "scarce"}


def to_dict(amounts, meters=COUNTED):
    return {each.meter: each.units for each in amounts if each.units != 0 and each.meter in meters}
