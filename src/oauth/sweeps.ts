import type { Sweep } from "../storage/janitor.ts";
import { requestSweep } from "./browser/sweep.ts";
import { deviceSweep } from "./device/device-code.ts";
import { familySweep } from "./refresh/sweep.ts";
import { signupSweep } from "./signup/signup.ts";
import { redeemedSweep } from "./token/sweep.ts";

export const sweeps: readonly Sweep[] = [requestSweep, deviceSweep, signupSweep, redeemedSweep, familySweep];
