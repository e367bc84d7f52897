/** Names of the operator's own objects in `deploy/`, its rights included. */
export const OPERATOR_NAMESPACE = 'mesh-operator'
/** Deployment, ServiceAccount, Service, roles and bindings: the name that the earlier, Helm-based operator had. */
export const OPERATOR_NAME = 'slime-boot'
/** What the operator may write in the namespaces of SlimeBoots: a role of its own, so that it can be bound namespace by namespace. */
export const OBJECTS_ROLE = 'slime-boot-objects'

/** ClusterRole of lazyload modules. */
export { LAZYLOAD_CLUSTER_ROLE } from '../spec/defaults.ts'
/** What the same modules may read in the whole cluster where they may write in the namespaces of their SlimeBoot only. */
export const LAZYLOAD_READER_ROLE = 'slime-lazyload-reader'
/** The same modules hold their Leases by it, in their own namespace only, as templates/module/role-binding.yaml.hbs binds it. */
export const LAZYLOAD_LEASES_ROLE = 'slime-lazyload-leases'
/** ClusterRole of the global-sidecar's pilot, as templates/pilot/cluster-role-binding.yaml.hbs binds it. */
export const PILOT_CLUSTER_ROLE = 'slime-global-sidecar-pilot'

/** What a person needs to write SlimeBoots, and to let modules be bound to their roles. */
export const INSTALLER_ROLE = 'slimeboot-installer'
export const BINDER_ROLE = 'slimeboot-binder'
/** The verb on slimeboots that lets a person install into a namespace. */
export const INSTALL_VERB = 'install'
