/** Every reason that a condition or a warning can have: what it means and what to do. docs/troubleshooting.md is made from this table. */

export interface ReasonText {
  readonly means: string
  readonly remedy: string
}

/** Reasons of `Ready` (and with it of `Reconciling` and `Stalled`). */
export const CONDITION_REASONS = {
  Ready: {
    means: 'Everything is as rendered and every workload is available.',
    remedy: 'Nothing. The message also carries the warnings, if there are any.',
  },
  MutatedByAdmission: {
    means:
      'Ready, but the API server or an admission webhook keeps some fields otherwise than applied; the message names them. They are not applied again and again.',
    remedy: 'If the change is not wanted, exempt our objects (label `config.netease.com/slimeboot`) from that webhook.',
  },
  Progressing: {
    means: 'A rollout, a catch-all that waits for its global-sidecar, or a prune that waits for the proxies is under way.',
    remedy: 'Wait; the message says for what.',
  },
  WorkloadNotReady: {
    means: "A workload does not become available; the message names object, pod and the container's own reason.",
    remedy:
      'Mend that reason: image name or pull secret, resources, the log of the container. `OOMKilled`: the message has the memory limit that was too low and the field that raises it; for a global-sidecar `slimeboot preflight` estimates how much it needs.',
  },
  CatchAllWithdrawn: {
    means:
      'All replicas of a global-sidecar were gone for 15 s, so its catch-all was withdrawn: unknown hosts pass through as without lazyload, and fences make no new Sidecars (`NoGlobalSidecar`). The message and `status.withdrawn` name the namespaces of the global-sidecars, and why their pods are not available.',
    remedy:
      'Mend that reason. With an available replica the catch-all comes back by itself; where all replicas were lost more than once within ten minutes, when one has stayed for a minute.',
  },
  Suspended: {
    means: 'Annotation `config.netease.com/suspend: "true"` is set: nothing is applied, repaired or pruned.',
    remedy: 'Remove the annotation to go on.',
  },
  Deleting: { means: 'The SlimeBoot is being deleted; its objects go first.', remedy: 'Wait; the message says for what.' },
  InvalidSpec: {
    means: 'The spec has errors, all of them listed with their paths. Nothing was changed, nothing is pruned.',
    remedy: 'Correct the fields named and apply again.',
  },
  NoRole: {
    means: 'A module that is not lazyload names no ClusterRole to be bound to, or the one to be bound to does not exist.',
    remedy:
      'Set `module[].clusterRole` to a ClusterRole with label `config.netease.com/bindable: "true"` on which the operator was granted `bind`.',
  },
  RenderFailed: {
    means: 'A template could not be rendered; the message names template and line.',
    remedy: 'See the text with `slimeboot template -f FILE --raw`, and report it.',
  },
  Conflict: {
    means:
      'An object of the rendered name exists and is not ours, is a copy of one of ours, or belongs to another SlimeBoot; or an older SlimeBoot has the same object or the same port of a namespace.',
    remedy:
      'As the message says: delete or rename the object, set annotation `config.netease.com/adopt: "true"`, or change one of the two SlimeBoots.',
  },
  KindMissing: {
    means: "The API server does not know a kind, usually because Istio's CRDs are not installed.",
    remedy: 'Install the CRDs; it goes on within 30 s.',
  },
  NamespaceMissing: {
    means: 'A target namespace does not exist.',
    remedy: 'Create it, or set annotation `config.netease.com/create-namespaces: "true"`.',
  },
  NamespaceTerminating: {
    means: 'A target namespace is being deleted.',
    remedy: 'Wait until it is gone and create it anew, or take it from the SlimeBoot.',
  },
  NamespaceNotHonoured: {
    means:
      "On Kubernetes before 1.30 nothing checks the rights of who writes a SlimeBoot, so only those in the operator's own namespace are honoured.",
    remedy: 'Move the SlimeBoot there, or upgrade the cluster.',
  },
  Forbidden: {
    means: 'The operator lacks a right; the message lists verbs and resources.',
    remedy: 'Apply `deploy/slimeboot.yaml` of this release again, which grants them; look for a policy that denies.',
  },
  DispatchHostTaken: {
    means: 'A dispatch domain is the host of a Service, ServiceEntry or VirtualService: Envoy would reject the whole route config.',
    remedy: 'Take the domain from the dispatches.',
  },
  OldOperatorRunning: {
    means: 'The Helm-based operator still runs and would fight over the same objects.',
    remedy: 'Let the install script replace it, or scale it to zero.',
  },
  Contested: {
    means:
      'A field that we set was changed back three times in five minutes, or an object deleted ten times; the message names the other manager of a field. It is tried again every ten minutes.',
    remedy: 'Let one of the two own it: change the spec, or stop the other.',
  },
  QuotaExceeded: { means: 'A ResourceQuota refuses an object.', remedy: 'Raise the quota or lower the resources in the SlimeBoot.' },
  AdmissionDenied: { means: 'An admission webhook or policy refuses an object; the message quotes it.', remedy: 'Satisfy or exempt it.' },
  WebhookFailed: { means: 'An admission webhook does not answer.', remedy: 'Mend or remove the webhook named in the message.' },
  Invalid: {
    means: 'The API server refuses a rendered field; where a field of the SlimeBoot produced it, the message names that.',
    remedy: 'Correct that field.',
  },
  DeleteBlocked: {
    means: 'An object cannot be deleted or stays for a finalizer; the message names object and cause.',
    remedy: 'Mend the cause. To let go without deleting: annotation `config.netease.com/deletion-policy: orphan`.',
  },
  ApiServerUnreachable: { means: 'The API server did not answer.', remedy: 'It is tried again with growing delay.' },
  ApiServerError: {
    means: 'The API server answered with an internal error or was overloaded.',
    remedy: 'It is tried again with growing delay.',
  },
  ApplyFailed: {
    means: 'The API server refused a write for another reason; the message quotes it.',
    remedy: 'It is tried again with growing delay; if it stays, report it.',
  },
  InternalError: { means: 'A fault of the operator.', remedy: 'Please report it with the SlimeBoot and the log.' },
} as const satisfies Record<string, ReasonText>

/** Reasons of warnings: in the message of `Ready` and in `status.warnings`. */
export const WARNING_REASONS = {
  UnknownKey: {
    means: 'A key that nothing reads; the message may say what was meant.',
    remedy: 'Correct the name, or leave it if a dispatch template or the module reads it.',
  },
  NotNeeded: {
    means: "A key, or an image, of today's upstream chart that means nothing here.",
    remedy: 'The message says what stands instead. `slimeboot convert` writes the SlimeBoot as one would write it today.',
  },
  NotRun: {
    means: 'A part of a bundle that is no lazyload: this image has no program for it. The lazyload of the bundle runs.',
    remedy: 'Install that module with its own operator, or remove it from the bundle.',
  },
  DuplicatePort: { means: 'A wormhole port is listed twice; it is rendered once.', remedy: 'Remove one.' },
  UnknownHostsStay: {
    means:
      'Calls on the wormhole ports to hosts outside the mesh end at the global-sidecar with 404: there are no dispatches, and `unknownHosts` is `refuse`, or the pilot is enabled.',
    remedy:
      'If there are such calls, write `component.globalSidecar.unknownHosts: passthrough` (without the pilot), or dispatch these hosts to `PassthroughCluster` and `*` to `_GLOBAL_SIDECAR`.',
  },
  HiddenHosts: {
    means:
      "Type cluster in a mesh that by default exports Services, VirtualServices or DestinationRules to their own namespace only (`defaultServiceExportTo` and its like in Istio's configuration): the global-sidecar does not see them, so nothing is learned through it, or first calls go without them.",
    remedy: "Add the global-sidecar's namespace to that list, export what matters to it, or use type namespaced.",
  },
  NoCatchAll: {
    means: 'Dispatches without an entry for `*`: other unknown hosts get 404.',
    remedy: 'Add one for `*` with `_GLOBAL_SIDECAR` or `PassthroughCluster`.',
  },
  UnlikelyCluster: {
    means: 'The cluster of a dispatch is no name that a mesh has: a known one in other letters, or an address.',
    remedy:
      'Write `_GLOBAL_SIDECAR`, `PassthroughCluster` or the name of an Istio cluster (`istioctl proxy-config cluster POD` lists them).',
  },
  NoPorts: {
    means: 'A fence without wormhole ports, or `auto` has found none: no global-sidecar is installed.',
    remedy: 'List the Service ports of the applications, or write `wormholePort: auto`.',
  },
  PortConflict: {
    means:
      '`wormholePort: auto` leaves a port out: some Services of the mesh speak HTTP on it, others TCP or TLS, whose calls an HTTP listener would break. Fences keep the hosts of these Services in their Sidecars.',
    remedy: 'Give one of the Services another port, or leave the port out with `"-PORT"`.',
  },
  PortsLeftOut: {
    means:
      '`wormholePort: auto` serves 100 ports at most: those that several namespaces have, then one of each namespace in turns. Fences keep the hosts of the others.',
    remedy: 'List the ports that matter beside `auto`.',
  },
  PortsUnseen: {
    means: 'The operator may not watch Services or Namespaces, so `wormholePort: auto` serves what it found before.',
    remedy: 'Apply `deploy/slimeboot.yaml` of this release again, which grants it.',
  },
  NothingEnabled: { means: 'No module is enabled, so nothing is installed.', remedy: 'Write `enable: true` in one.' },
  NoMetricSource: {
    means: 'Source prometheus without an address: nothing is learned.',
    remedy: 'Write `metric.prometheus`, or `metric_source_type: accesslog`.',
  },
  AccessLogUnused: {
    means: 'Source accesslog, but nothing rendered sends logs: nothing is learned.',
    remedy: 'Use prometheus, or a global-sidecar.',
  },
  LogPortMismatch: {
    means: 'The module listens for access logs on another port than the one logs are sent to.',
    remedy: 'Make the two equal.',
  },
  FencesShared: {
    means:
      'A module would serve fences that another module serves: it leaves them to that one. The module of a SlimeBoot with a global-sidecar comes before one without, then the older SlimeBoot, then the first in the list.',
    remedy:
      'Part them by `global.istioRev` (with `strictRev: true` for those that leave fences without a revision to another), or by `general.namespaces`; or remove one of the modules.',
  },
  NamespacesUnused: {
    means: 'Namespaces are listed, but the mode does not use them.',
    remedy: 'Remove the list, or choose type namespaced.',
  },
  PilotUnused: { means: 'The pilot is enabled, but no global-sidecar is installed that needs it.', remedy: 'Remove `component.pilot`.' },
  PilotTooOld: {
    means: "The tutorial's pilot (istiod 1.7) does not run on Kubernetes 1.22 and later.",
    remedy: "Remove `component.pilot`: the global-sidecar is then an ordinary proxy of the mesh's own istiod.",
  },
  Copy: {
    means: 'An object carries our annotation of another object: somebody copied a manifest.',
    remedy: 'Delete it, or remove its annotation `config.netease.com/owned`. It is never touched by the operator.',
  },
  Forged: {
    means:
      'An object carries marks of this SlimeBoot that the operator did not write, or a catch-all names a SlimeBoot that does not exist or does not render it. It is never touched, and nothing waits for it.',
    remedy: 'Delete it, or remove its label `config.netease.com/slimeboot`. The message names it; who made it is in its `managedFields`.',
  },
  LeftBehind: {
    means:
      'An object in a namespace that the SlimeBoot does not install into any more cannot be removed, mostly because of a finalizer. Nothing waits for it.',
    remedy: 'Mend the cause that the message names; it is tried again at the next reconcile.',
  },
  PodTemplateKept: {
    means: 'Taken over from the Helm-based operator: the live pod template is kept until the spec changes, so that no pod restarts.',
    remedy:
      'See the difference with `slimeboot diff`. When a restart suits, change the spec, or remove annotation `config.netease.com/pod-template-kept` from the Deployment.',
  },
} as const satisfies Record<string, ReasonText>

export type ConditionReason = keyof typeof CONDITION_REASONS
export type WarningReason = keyof typeof WARNING_REASONS
