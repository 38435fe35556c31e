import type { Sweep } from "../storage/janitor.ts";
import { contactSweep } from "./contact/contact.ts";
import { browserSweeps } from "./sessions/session.ts";
import { usedSweep } from "./used-tokens.ts";
import { codeSweep, sessionSweep } from "./verification/verification.ts";

export const sweeps: readonly Sweep[] = [codeSweep, sessionSweep, usedSweep, contactSweep, ...browserSweeps];
