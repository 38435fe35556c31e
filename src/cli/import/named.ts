import { Refusal } from "../../errors.ts";
import { malformed } from "../../http/error-reply.ts";

/** What `work` refuses is said of this place in the file. */
export async function named<T>(place: string, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Refusal) || !error.options.errors) throw error;
    throw malformed(error.options.errors.map((fault) => ({ ...fault, path: `${place}.${fault.path}` })));
  }
}
