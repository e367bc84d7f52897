/** Pods as the API server has them, and what the kubelet makes of a container: its environment and its command line. */

export interface Pod {
  readonly metadata: {
    readonly name: string
    readonly namespace: string
    readonly uid: string
    readonly labels?: Readonly<Record<string, string>>
    readonly annotations?: Readonly<Record<string, string>>
    readonly deletionTimestamp?: string
    readonly deletionGracePeriodSeconds?: number
  }
  readonly spec: {
    readonly serviceAccountName: string
    readonly terminationGracePeriodSeconds?: number
    readonly securityContext?: SecurityContext & {
      readonly fsGroup?: number
      readonly sysctls?: readonly { readonly name: string; readonly value: string }[]
    }
    readonly initContainers?: readonly Container[]
    readonly containers: readonly Container[]
    readonly volumes?: readonly Volume[]
  }
  readonly status?: { readonly podIP?: string; readonly phase?: string }
}

export interface Container {
  readonly name: string
  readonly image: string
  readonly command?: readonly string[]
  readonly args?: readonly string[]
  readonly env?: readonly EnvVar[]
  /** Of an init container: `Always` makes it a sidecar. */
  readonly restartPolicy?: string
  readonly ports?: readonly { readonly name?: string; readonly containerPort: number }[]
  readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string }[]
  readonly securityContext?: SecurityContext & { readonly readOnlyRootFilesystem?: boolean }
  readonly startupProbe?: Probe
  readonly readinessProbe?: Probe
  readonly livenessProbe?: Probe
  readonly lifecycle?: { readonly preStop?: { readonly exec?: { readonly command: readonly string[] } } }
}

interface SecurityContext {
  readonly runAsUser?: number
  readonly runAsGroup?: number
}

interface EnvVar {
  readonly name: string
  readonly value?: string
  readonly valueFrom?: { readonly fieldRef?: { readonly fieldPath: string }; readonly resourceFieldRef?: { readonly resource: string } }
}

export interface Probe {
  readonly httpGet?: {
    readonly path?: string
    readonly port: number | string
    readonly httpHeaders?: readonly { name: string; value: string }[]
  }
  readonly initialDelaySeconds?: number
  readonly periodSeconds?: number
  readonly timeoutSeconds?: number
  readonly failureThreshold?: number
}

export interface Volume {
  readonly name: string
  readonly emptyDir?: object
  readonly persistentVolumeClaim?: { readonly claimName: string }
  readonly configMap?: NamedItems
  readonly secret?: { readonly secretName: string; readonly optional?: boolean }
  readonly downwardAPI?: { readonly items?: readonly FieldFile[] }
  readonly projected?: { readonly sources?: readonly Projection[] }
}

interface Projection {
  readonly configMap?: NamedItems
  readonly downwardAPI?: { readonly items?: readonly FieldFile[] }
  readonly serviceAccountToken?: { readonly path: string; readonly audience?: string; readonly expirationSeconds?: number }
}

interface NamedItems {
  readonly name: string
  readonly optional?: boolean
  readonly items?: readonly { readonly key: string; readonly path: string }[]
}

export interface FieldFile {
  readonly path: string
  readonly fieldRef?: { readonly fieldPath: string }
}

/** What of an image is needed to run it on this machine. */
export interface Image {
  readonly entrypoint: readonly string[]
  readonly cmd?: readonly string[]
  /** A folder here with files of the image. */
  readonly root?: string
  /** More of them: path in the container, file here. */
  readonly files?: Readonly<Record<string, string>>
  /** User id, for a container and pod that name none (default 0). */
  readonly uid?: number
}

/** As on a node with two cores and memory enough. */
const NODE_RESOURCES: Readonly<Record<string, string>> = { 'limits.cpu': '2', 'limits.memory': String(2 ** 30) }

/** https://kubernetes.io/docs/concepts/workloads/pods/downward-api/ */
export function fieldOf(pod: Pod, fieldPath: string): string {
  const keyed = /^metadata\.(labels|annotations)\['(.+)'\]$/.exec(fieldPath)
  if (keyed !== null) return pod.metadata[keyed[1] as 'labels' | 'annotations']?.[keyed[2] ?? ''] ?? ''
  const all = { ...pod, status: { hostIP: '10.96.0.1', ...pod.status } }
  const value = fieldPath.split('.').reduce<unknown>((object, key) => (object as Record<string, unknown> | undefined)?.[key], all)
  if (typeof value === 'string') return value
  const lines = Object.entries((value ?? {}) as Record<string, string>).map(([key, text]) => `${key}=${JSON.stringify(text)}`)
  return lines.join('\n')
}

/** Where the API server is for pods (network.ts), as the kubelet says it to every container. */
const API_SERVER = { KUBERNETES_SERVICE_HOST: '10.96.0.1', KUBERNETES_SERVICE_PORT: '443' }

/** `$(NAME)` stands for an earlier variable. */
export function environmentOf(pod: Pod, container: Container): Record<string, string> {
  const environment: Record<string, string> = { ...API_SERVER }
  for (const { name, value, valueFrom } of container.env ?? []) {
    if (valueFrom?.fieldRef !== undefined) environment[name] = fieldOf(pod, valueFrom.fieldRef.fieldPath)
    else if (valueFrom?.resourceFieldRef !== undefined) environment[name] = NODE_RESOURCES[valueFrom.resourceFieldRef.resource] ?? '0'
    else if (valueFrom === undefined) environment[name] = expand(value ?? '', environment)
    else throw new Error(`container ${container.name}: env ${name}: this source is not known here`)
  }
  return environment
}

/** The container's `command` replaces ENTRYPOINT and CMD, `args` alone only CMD. */
export function commandOf({ command, args }: Container, image: Image, environment: Readonly<Record<string, string>>): readonly string[] {
  const words = [...(command ?? image.entrypoint), ...(args ?? (command === undefined ? (image.cmd ?? []) : []))]
  return words.map((word) => expand(word, environment))
}

function expand(text: string, environment: Readonly<Record<string, string>>): string {
  return text.replace(/\$\(([^)]+)\)/g, (whole, name: string) => environment[name] ?? whole)
}
