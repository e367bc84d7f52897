/** Who sees a Service, a ServiceEntry or a VirtualService: `exportTo` as Istio reads it. Pure. */

/** Nothing said: what the mesh configuration says, else everybody. */
export type ExportTo = readonly string[] | undefined

export const EXPORT_TO = 'networking.istio.io/exportTo'

/** Annotation of a Service: namespaces separated by commas; empty is as good as absent. */
export function exportToOf(annotation: string | undefined): ExportTo {
  return annotation === undefined || annotation === '' ? undefined : annotation.split(',').map((item) => item.trim())
}

/** `*` beats `~` beats names; `.` is the object's own namespace (`initServiceRegistry` in istio.io/istio/pilot/pkg/model). */
export function isVisible(exportTo: ExportTo, byDefault: ExportTo, own: string, from: string): boolean {
  const said = exportTo === undefined || exportTo.length === 0 ? byDefault : exportTo
  if (said === undefined || said.includes('*')) return true
  if (said.includes('~')) return false
  return said.includes(from) || (own === from && said.includes('.'))
}

/** Whether every namespace sees it, so that nobody needs to ask which. */
export function isPublic(exportTo: ExportTo, byDefault: ExportTo): boolean {
  const said = exportTo === undefined || exportTo.length === 0 ? byDefault : exportTo
  return said === undefined || said.includes('*')
}
