/**
 * The values of a parameter that is a list, such as scope, prompt and ui_locales (RFC 6749 §3.3, OpenID Connect Core
 * §3.1.2.1).
 */
export const spaceSeparated = (text: string | undefined): readonly string[] => (text ?? "").split(" ").filter(Boolean);
