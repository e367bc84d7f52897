/** Lists in messages, which must stay short however many there are. */

/** The first `limit` items, and how many more there are: `a, b and 3 more`. */
export function listed(items: readonly string[], limit: number, separator = ', '): string {
  return items.length <= limit ? items.join(separator) : `${items.slice(0, limit).join(separator)} and ${items.length - limit} more`
}
