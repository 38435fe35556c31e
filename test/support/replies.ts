import type { Reply } from "./latchkey.ts";

/** Its status and, where it is a refusal of either surface, its code. */
export const code = ({ status, body }: Reply): [number, string | undefined] => [
  status,
  body?.error?.code ?? body?.error,
];
