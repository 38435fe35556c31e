/** What may happen, as data that fast-check makes up and makes smaller: turns of commands that run at once. */
import fc from "fast-check";
import type { Format, Thing } from "./login-model.ts";

export const PEOPLE = 12;

/** Which fields count depends on the kind. `nth` picks among the codes, or logins, that the person was given so far. */
export interface Command {
  readonly kind: "mint" | "send" | "resend" | "guess" | "redeem" | "expire" | "rest" | "remove" | "rotate";
  readonly person: number;
  /** Through which process of those that share the database. */
  readonly via: number;
  readonly nth: number;
  readonly format: Format;
  readonly thing: Thing;
}

export interface Turn {
  /** Between two turns nothing is under way. */
  readonly commands: readonly Command[];
  readonly after: "next" | "restart";
}

const weights: Readonly<Record<Command["kind"], number>> = {
  mint: 16,
  redeem: 28,
  guess: 10,
  expire: 4,
  send: 4,
  resend: 4,
  rest: 3,
  remove: 2,
  rotate: 1,
};

const weighted = <T extends string>(of: Readonly<Record<T, number>>) =>
  fc.oneof(...(Object.entries(of) as [T, number][]).map(([one, weight]) => ({ weight, arbitrary: fc.constant(one) })));

const command: fc.Arbitrary<Command> = fc.record({
  kind: weighted(weights),
  person: fc.nat(PEOPLE - 1),
  via: fc.nat(1),
  nth: fc.nat(5),
  format: fc.constantFrom<Format>("typable", "numeric", "link"),
  thing: weighted<Thing>({ user: 2, client: 1, grant: 1 }),
});

export const plan: fc.Arbitrary<readonly Turn[]> = fc.noBias(
  fc.array(
    fc.record({
      commands: fc.array(command, { minLength: 1, maxLength: 5 * PEOPLE, size: "max" }),
      after: weighted<Turn["after"]>({ next: 80, restart: 1 }),
    }),
    { minLength: 1, maxLength: 12, size: "max" },
  ),
);
