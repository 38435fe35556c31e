/** A bearer with this scope logs people in without their second factor. */
export const NO_MFA = "write:accounts:/auth/users/no-mfa";
