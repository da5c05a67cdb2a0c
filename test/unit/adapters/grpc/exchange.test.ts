import { beforeEach, expect, test } from "vitest";
import { Exchange } from "../../../../src/adapters/grpc/exchange.ts";
import { aReserve } from "../../../support/builders.ts";
import { ALLOWED } from "../../../support/fake-quota.ts";

let abandoned: string[];
let exchange: Exchange;
beforeEach(() => {
  abandoned = [];
  const caller = { tenant: "", platform: true };
  exchange = new Exchange(caller, Infinity, (id) => void abandoned.push(id));
});

const make = (reservationId: string, idempotencyKey = ""): void =>
  exchange.made(aReserve({ idempotencyKey }), {
    op: "reserve",
    verdict: ALLOWED,
    reservationId,
    reserved: [],
  });

test("X1: what was made and not handed over is abandoned when the caller goes, once", () => {
  make("a");
  make("b");
  expect(abandoned).toEqual([]);
  exchange.lost();
  exchange.lost();
  expect(abandoned).toEqual(["a", "b"]);
});

test("X1: what is made after the caller has gone is abandoned at once", () => {
  exchange.lost();
  expect(exchange.cancelled()).toBe(true);
  make("a");
  expect(abandoned).toEqual(["a"]);
});

test("X1: what was handed over stays", () => {
  make("a");
  exchange.handedOver();
  exchange.lost();
  expect(abandoned).toEqual([]);
});

test("X2: with a key it stays; a dry run and a denial made nothing", () => {
  make("a", "key");
  make("");
  exchange.lost();
  make("b", "key");
  expect(abandoned).toEqual([]);
});
