import { type Refusal, refuse } from "../errors.ts";

/** Neither engine stores U+0000 in text, or finds any by it: whoever sent it is told so. */
export function refuseText(): Refusal {
  return refuse("invalid_request", { message: "Text must not contain U+0000." });
}
