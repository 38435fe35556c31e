import type { FastifyRequest } from "fastify";
import { Refusal } from "../../errors.ts";
import { noteRefusal } from "../../http/error-reply.ts";
import type { AuthorizationRequest, Progress } from "../../oauth/browser/authorization-request.ts";
import { noteProgress } from "../../oauth/browser/open-request.ts";
import type { Oauth } from "../../oauth/oauth.ts";
import { instant } from "../../storage/storage.ts";

/**
 * What went wrong is kept with the login, for its page to say, and noted as every refusal is. @throws what is no
 * refusal, or 5xx.
 */
export async function keepProblem(
  oauth: Oauth,
  received: FastifyRequest,
  request: AuthorizationRequest,
  progress: Progress,
  error: unknown,
): Promise<void> {
  if (!(error instanceof Refusal) || error.status >= 500) throw error;
  noteRefusal(error, received);
  const { retry_at: _before, ...rest } = progress;
  const { retry_after } = error.options;
  const over =
    retry_after === undefined ? {} : { retry_at: instant(oauth.directory.storage.now() + retry_after * 1000) };
  await noteProgress(oauth, request, { ...rest, problem: error.code, ...over });
}
