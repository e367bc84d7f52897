/** A configuration that cannot be used; its message tells all that is wrong with it. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}
