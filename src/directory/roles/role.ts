/**
 * Roles: named sets of scopes that account users hold. Whoever makes, changes, deletes or assigns a role must hold every
 * scope of it, before and after.
 */
export interface Role {
  readonly account_id: string;
  /** uuid */
  readonly id: string;
  readonly name: string | null;
  readonly description: string | null;
  readonly scope: readonly string[];
  readonly created_at: string;
  readonly created_by: string | null;
  readonly updated_at: string;
  readonly deleted_at: string | null;
  readonly deleted_by: string | null;
}
