/** Every reason that a condition of a fence can have, beside the API server's own: what it means and what to do. docs/troubleshooting.md is made from this table. */

export const FENCE_REASONS = {
  SidecarApplied: {
    means: '`Ready`: the Sidecar is as it should be.',
    remedy: 'Nothing. The message names other fences whose dependencies it holds too, because they select the same pods.',
  },
  SidecarShared: {
    means: '`Ready`: another fence selects the same pods and holds the dependencies of both: Istio takes one Sidecar for a pod.',
    remedy: 'Nothing. To part them, let `spec.workloadSelector.labels` tell the pods apart, or disable one of the fences.',
  },
  SidecarSharing: {
    means:
      'Not `Ready`: another fence selects the same pods and has their one Sidecar, which does not hold the dependencies of this one yet.',
    remedy: 'Mostly gone in a moment. If it lasts, look at the conditions of the fence that the message names.',
  },
  Disabled: { means: '`spec.enable` is not true: there is no Sidecar, and nothing is learned.', remedy: 'Set it to true.' },
  SidecarForeign: {
    means: 'Not `Ready`: a Sidecar of this name belongs to somebody else and is left alone.',
    remedy: 'Delete that Sidecar, or rename the fence.',
  },
  HostsRefused: {
    means:
      "Not `Ready`: the API server (mostly Istio's webhook) refuses the Sidecar because of some hosts. They are left out, the others are in it; after ten minutes they are tried again.",
    remedy: 'The message says which hosts and why. Correct them in `spec.host`; learned ones go by a reset of the fence.',
  },
  Contested: {
    means: 'Not `Ready`: somebody else changes or deletes the Sidecar again and again. It is repaired once every ten minutes only.',
    remedy:
      'Let one of the two go. The message names the other: a GitOps tool that has the Sidecar among its objects, or a second lazyload module that serves the same fences (give both `global.istioRev`).',
  },
  NoGlobalSidecar: {
    means:
      'Not `Ready`: pods could not reach what a Sidecar lacks, because the Service `global-sidecar`, the catch-all (EnvoyFilter `to-global-sidecar`) or a ready endpoint of that Service is missing; the message says which. No Sidecar is made; one that is there stays, and hosts are only added to it. Also not `Learning` with access logs.',
    remedy:
      'Service missing: add the namespace to `component.globalSidecar.namespace` of the SlimeBoot, or remove the fence; with `type: cluster` the module needs `global-sidecar-mode: cluster` too. Otherwise see the conditions of the SlimeBoot and why the pods of the global-sidecar are not ready; it heals by itself with them. A catch-all made by hand counts by its name where it is for all pods of the namespace (in mode cluster: in `istioNamespace`).',
  },
  TooLarge: {
    means:
      'Not `Ready`, not `Accepted`, not `Learning`: the fence has more entries, or selects more Services, than any fence needs. Nothing is computed for it; a Sidecar that is there stays as it is.',
    remedy: 'Make smaller what the message names. `<namespace>/*` in `spec.host` stands for all Services of a namespace.',
  },
  KindsUnseen: {
    means:
      '`Ready` is Unknown: Services, VirtualServices, ServiceEntries, EnvoyFilters called `to-global-sidecar` or EndpointSlices may not be listed, or their kind has vanished. Hosts are only added to Sidecars meanwhile, and no Sidecar is made.',
    remedy: 'Grant `list` and `watch` on what the message names. Where the kind is gone for good, restart lazyload.',
  },
  SidecarNotCarried: {
    means:
      'Not `Ready`: a Sidecar without `workloadSelector`, of the namespace or of the root namespace of the mesh, has a field that cannot be carried into a Sidecar of the fence (an egress listener with `port`, `bind` or `captureMode`). Istio takes one Sidecar for a pod, so there is none of the fence.',
    remedy: 'Take the field that the message names away, or give that Sidecar a `workloadSelector`, or remove the fence.',
  },
  Kept: { means: '`Kept`: hosts that nobody can learn stay in the Sidecar; `status.kept` says which and why.', remedy: 'Nothing.' },
  KeepsMost: {
    means: '`Kept`: more than half of the hosts of the mesh stay in the Sidecar, so the fence saves little.',
    remedy:
      'See by `status.kept` what they have in common: give ports the prefix `http-` or `appProtocol` where they are HTTP, add wormhole ports, or set `spec.keep: namespace`.',
  },
  KeepsNothing: {
    means: 'Not `Kept`: `spec.keep` or `general.keep` is `none`.',
    remedy: 'Remove it, or list in `spec.host` what is called by TCP, on other ports, or in a headless way.',
  },
  MeshConfigUnseen: {
    means:
      "`Kept` is Unknown: Istio's ConfigMap cannot be read, so nobody knows which hosts proxies call themselves (extension providers, tracing). What was known of it stays in the Sidecar.",
    remedy:
      'Upgrade the operator, or grant `list` and `watch` on configmaps in the namespace of Istio. Where the mesh has no ConfigMap, list such hosts in `general.stableHost`.',
  },
  NoService: {
    means: 'Not `Ready`: `spec.workloadSelector.fromService` is true, but no Service of this name selects pods.',
    remedy: 'Create the Service, or name the pods by `spec.workloadSelector.labels`.',
  },
  NoSidecarKind: { means: 'Not `Ready`: the API server has no kind Sidecar.', remedy: 'Install Istio.' },
  ApplyFailed: {
    means: 'Not `Ready`: the Sidecar was refused without a reason; else the reason is that of the API server (`Forbidden`, `Invalid`, …).',
    remedy: 'Mend what the message says; it is tried again with growing pauses.',
  },
  Shadowed: {
    means:
      'Not `Ready`: the Sidecar is as it should be, but another one in the namespace, made by hand or by another fence, selects the same pods, all or some of them, and is older. Istio takes the oldest that selects a pod and does not merge.',
    remedy:
      'Delete the Sidecar that the message names, or let its `workloadSelector` leave out these pods. Of two fences, let `spec.workloadSelector.labels` tell the pods apart, or disable one.',
  },
  NoPods: {
    means:
      'The Sidecar is as it should be, but no pod has the labels that the fence selects. Not `Ready` where the Service of this name has pods, with other labels; else Unknown: the workload may be scaled to zero, or not rolled out yet.',
    remedy:
      'Set `spec.workloadSelector.fromService: true`, which takes the selector of the Service, or name the pods by `spec.workloadSelector.labels`; the message says which labels they have. Once there are pods it heals within about half a minute.',
  },
  PodsUnseen: {
    means:
      '`Ready` is Unknown: the Sidecar is as it should be, but pods may not be listed, so whether any takes it is not known. The message names an older Sidecar that may take some of them. `Learning` is Unknown: nobody can say whose calls come from an address that no Service has, which concerns fences whose pods need not be behind a Service of their name (Jobs, consumers, a Service with another name or other labels).',
    remedy: 'Grant `list` on pods: apply `deploy/slimeboot.yaml` of this release again, whose ClusterRole `slime-lazyload` has it.',
  },
  NotServed: {
    means:
      'Not `Ready`, not `Learning`: no lazyload module serves the fence any more. Either label `istio.io/rev` of the fence names a revision that none serves; its Sidecar stays as it is. Or its SlimeBoot was deleted or serves less than before (the message says which); then the operator has removed its Sidecar before the catch-all went, and what was learned is kept. Fences that labels made follow `global.istioRev`, or the label of their namespace, by themselves.',
    remedy:
      'Correct label `istio.io/rev` of the fence, or add its revision to `global.istioRev` of the module; or let a SlimeBoot serve it again, or delete the fence.',
  },
  RevisionTag: {
    means:
      'Label `istio.io/rev` of the fence is a tag that cannot be resolved. Istio reads a Sidecar only where that label is its own revision. Not `Ready` where the pods say that they are of another revision; else Unknown.',
    remedy:
      'Write the revision itself into `global.istioRev`, or into the label of the fence; or let lazyload list MutatingWebhookConfigurations, whose labels `istio.io/tag` and `istio.io/rev` say what a tag stands for.',
  },
  OtherRevision: {
    means: 'Not `Ready`: the pods are configured by another revision of Istio than the fence is for, which does not read its Sidecar.',
    remedy:
      'Restart the pods if they are to move to the revision of the fence; else correct label `istio.io/rev` of the fence, or of its namespace.',
  },
  Valid: { means: '`Accepted`: every host in `spec` can be used.', remedy: 'Nothing.' },
  InvalidHost: {
    means: 'Not `Accepted`: names in `spec` that are neither host names, as Istio takes them, nor `<namespace>/*`.',
    remedy: 'Correct those that the message lists; the others are used.',
  },
  UnknownHost: {
    means: 'Not `Accepted`: `spec.host` has a name of the form `service.namespace`, and there is neither that Service nor a ServiceEntry.',
    remedy: 'Correct the name, or create the Service; it is completed then by itself.',
  },
  Learning: { means: '`Learning`: hosts that are called are added.', remedy: 'Nothing.' },
  TooManyHosts: {
    means: 'Not `Learning`: 500 hosts are learned, no more are taken.',
    remedy:
      'In-cluster hosts whose Service is gone for an hour make room by themselves. See what calls hosts at random; reset the fence, or put what it needs into `spec.host`.',
  },
  HostNetwork: {
    means:
      'Not `Learning`: the pods of the fence are on the network of their node (`hostNetwork`) and no Service of its name has them. Others call from the same address, so it tells nothing.',
    remedy: 'Put what they call into `spec.host`, or disable the fence: such pods have no proxy that would read a Sidecar.',
  },
  NoLogSource: {
    means: 'Not `Learning`: the source is the access log, and without a global-sidecar nobody sends one.',
    remedy: 'Set `metric_source_type: prometheus`, or install a global-sidecar.',
  },
  NoMetricSource: {
    means: 'Not `Learning`: the source is Prometheus, and the module names none.',
    remedy: 'Write `metric.prometheus` into the module, or `metric_source_type: accesslog`.',
  },
  QueryFailed: {
    means: 'Not `Learning`: Prometheus does not answer, refuses the query of this fence, or warns that its answer lacks something.',
    remedy: 'The message is what it said. Nothing is forgotten meanwhile.',
  },
  UnreadableSamples: {
    means:
      'Not `Learning`: the answer has samples with other labels than the destination. What can be read is learned, nothing is forgotten.',
    remedy: 'Let the query of the handler end in `by (destination_service)`.',
  },
  UnattributedSamples: {
    means:
      'Not `Learning`: samples of an aggregated query do not say whose they are, because fences of several namespaces are called so. Nothing is forgotten.',
    remedy: 'Add `source_workload_namespace` (and `source_app`) to the `by (…)` of that query.',
  },
  NoSamples: {
    means:
      '`Learning` is Unknown: Prometheus answers, but has samples for fewer than half of the fences that have learned hosts. That looks like lost data, so nothing is forgotten.',
    remedy:
      'Look whether Prometheus was restarted without its data, whether it scrapes the proxies, and whether the query still selects what they report. Where hardly anybody calls anybody it is so too, and harmless.',
  },
} as const satisfies Readonly<Record<string, { readonly means: string; readonly remedy: string }>>

export type FenceReason = keyof typeof FENCE_REASONS
