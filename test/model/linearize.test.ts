/** The checker itself, held against histories whose verdict is known. */
import { describe, expect, it } from "vitest";
import { type Event, linearize } from "./linearize.ts";
import { apply, type Login, newLogin, type Outcome, type Step, settle } from "./login-model.ts";

type History = readonly Event<Step, Outcome>[];

/** Steps with the milliseconds between which each was under way. */
const at = (began: number, ended: number, step: Step, answer: string, more: Partial<Outcome> = {}) => ({
  ...{ step, outcome: { answer, ...more } },
  ...{ began, ended },
});
const via = 0;
const mint = (began: number, ended: number, code: string, format: "typable" | "numeric" = "typable") =>
  at(began, ended, { kind: "mint", format, via }, "200", { code });
const redeem = (began: number, ended: number, code: string, answer: string) =>
  at(began, ended, { kind: "redeem", code, via }, answer);
const guess = (began: number, ended: number, answer: string) => at(began, ended, { kind: "guess", via }, answer);
const send = (n: number, code: string, session: string, messages: number) =>
  at(n, n + 1, { kind: "send", via }, "204", { code, session, messages });
const wrong = "invalid_verification_code";

const explained = (history: History, from: Login = newLogin) => linearize([from], history, apply).length > 0;

describe("a history that is right", () => {
  it.each<[string, History]>([
    [
      "one of two redemptions at once",
      [mint(0, 1, "A"), redeem(2, 5, "A", "verification_code_used"), redeem(2, 6, "A", "302")],
    ],
    ["a redemption that overtakes", [mint(0, 9, "A"), redeem(3, 5, "A", "302")]],
    [
      "a sibling that is spent as well",
      [mint(0, 1, "A"), mint(0, 1, "B"), redeem(2, 3, "A", "302"), redeem(4, 5, "B", "verification_code_used")],
    ],
    [
      "ten guesses, then closed",
      [...Array.from({ length: 10 }, () => guess(0, 9, wrong)), guess(0, 9, "too_many_attempts")],
    ],
    ["the same code again", [send(0, "A", "s", 1), send(2, "A", "t", 1)]],
    [
      "the same message again after a while",
      [send(0, "A", "s", 1), at(2, 3, { kind: "rest" }, ""), send(4, "A", "t", 2)],
    ],
    [
      "a process that knows of a removal a little later",
      [
        at(0, 1, { kind: "remove", thing: "client", via: 1 }, "200"),
        mint(2, 3, "A"),
        redeem(4, 5, "A", "unauthorized_client"),
      ],
    ],
  ])("%s", (_, history) => expect(explained(history)).toBe(true));

  const remove = (began: number, ended: number) => at(began, ended, { kind: "remove", thing: "user", via }, "200");
  it("is a right code that found its person gone, and was no guess", () => {
    const during = [mint(0, 1, "1", "numeric"), remove(2, 9), redeem(3, 9, "1", wrong)];
    const guesses = Array.from({ length: 10 }, (_, n) => guess(10 + 2 * n, 11 + 2 * n, wrong));
    expect(explained([...during, ...guesses])).toBe(true);
    expect(explained([...during, ...guesses, guess(90, 91, wrong)])).toBe(false);
    const disagreeing = [mint(0, 1, "A"), remove(2, 9), redeem(3, 9, "A", "302"), redeem(3, 9, "A", wrong)];
    expect(explained(disagreeing)).toBe(true);
    expect(explained([...disagreeing, redeem(10, 11, "A", "302")])).toBe(false);
    const before = linearize([newLogin], [mint(0, 1, "1", "numeric"), remove(2, 9)], apply).map(settle);
    expect(linearize(before, [redeem(10, 11, "1", wrong), ...guesses.slice(1), guess(90, 91, wrong)], apply)).toEqual(
      [],
    );
  });

  it("leaves open what cannot be known", () => {
    const history = [mint(0, 1, "A", "numeric"), guess(2, 5, wrong), mint(2, 5, "B", "numeric")];
    const guesses = linearize([newLogin], history, apply).map(({ codes }) => codes.B?.guesses);
    expect(guesses.toSorted()).toEqual([0, 1]);
  });
});

describe("a history that is wrong", () => {
  it.each<[string, History]>([
    ["a code redeemed twice at once", [mint(0, 1, "A"), redeem(2, 5, "A", "302"), redeem(2, 6, "A", "302")]],
    [
      "a code redeemed twice, one after the other",
      [mint(0, 1, "A"), redeem(2, 3, "A", "302"), redeem(4, 5, "A", "302")],
    ],
    [
      "a code redeemed and its sibling too",
      [mint(0, 1, "A"), mint(0, 1, "B"), redeem(2, 5, "A", "302"), redeem(2, 5, "B", "302")],
    ],
    [
      "a code redeemed after its time",
      [mint(0, 1, "A"), at(2, 3, { kind: "expire", code: "A" }, ""), redeem(4, 5, "A", "302")],
    ],
    ["a code lost that nobody redeemed", [mint(0, 1, "A"), redeem(2, 3, "A", "verification_code_used")]],
    ["a redemption before the code was", [redeem(0, 1, "A", "302"), mint(2, 3, "A")]],
    ["guesses given back", Array.from({ length: 11 }, () => guess(0, 9, wrong))],
    [
      "guesses at one code given back",
      [mint(0, 1, "1", "numeric"), ...Array.from({ length: 6 }, () => guess(2, 9, wrong))],
    ],
    ["closed before the guesses were", [guess(0, 1, wrong), guess(2, 3, "too_many_attempts")]],
    ["another code while the first lives", [send(0, "A", "s", 1), send(2, "B", "t", 2)]],
    ["a second message in the same moment", [send(0, "A", "s", 1), send(2, "A", "t", 2)]],
    ["a sixth live code", Array.from({ length: 6 }, (_, n) => mint(0, 9, String(n)))],
    [
      "a code of somebody who is gone",
      [mint(0, 1, "A"), at(2, 3, { kind: "remove", thing: "user", via }, "200"), redeem(4, 5, "A", "302")],
    ],
    [
      "a code of a client that is gone, at a process that may not know it yet",
      [mint(0, 1, "A"), at(2, 3, { kind: "remove", thing: "grant", via: 1 }, "200"), redeem(4, 5, "A", "302")],
    ],
    [
      "a code made by the process that removed the client",
      [at(0, 1, { kind: "remove", thing: "client", via }, "200"), mint(2, 3, "A")],
    ],
    ["something removed twice", [0, 1].map((n) => at(0, 9, { kind: "remove", thing: "user", via: n }, "200"))],
  ])("%s", (_, history) => expect(explained(history)).toBe(false));
});
