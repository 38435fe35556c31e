/**
 * Authentication: how a person proves who they are, by a way that is a room of its own. Whichever it was, it ends in an
 * `AuthenticatedSubject`; this is the capability that those verbs take which send something.
 */
import type { Directory } from "../directory/directory.ts";

export interface Authentication {
  readonly directory: Directory;
  /** A message was enqueued: the outbox need not wait for its next look. */
  nudge(): void;
}
