/**
 * Characters that a token, code or ticket of ours may have when it comes back, or the scope that it is asked for with:
 * as many as a request holds, since a grant of 200 scopes makes long ones.
 */
export const LONGEST_TOKEN = 65_536;

/** No account lets its access tokens live longer; seconds. What outlasts tokens, a key or a revocation, is kept by it. */
export const LONGEST_LIFETIME = 86_400;
