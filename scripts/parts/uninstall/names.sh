# --- names of what is removed ---

FENCES=servicefences.microservice.slime.io
BOOTS=slimeboots.config.netease.com
# Kinds that a SlimeBoot becomes (operator/api/kinds.ts).
KINDS='envoyfilters.networking.istio.io deployments.apps services configmaps sidecars.networking.istio.io destinationrules.networking.istio.io
  networkpolicies.networking.k8s.io poddisruptionbudgets.policy serviceaccounts rolebindings.rbac.authorization.k8s.io clusterrolebindings.rbac.authorization.k8s.io'
# The operator's objects: "apiVersion Kind name", those in its namespace with a leading dot.
OPERATOR_OBJECTS='
  rbac.authorization.k8s.io/v1 ClusterRoleBinding slime-boot
  rbac.authorization.k8s.io/v1 ClusterRoleBinding slime-boot-objects
  rbac.authorization.k8s.io/v1 ClusterRole slime-boot
  rbac.authorization.k8s.io/v1 ClusterRole slime-boot-objects
  rbac.authorization.k8s.io/v1 ClusterRole slime-lazyload
  rbac.authorization.k8s.io/v1 ClusterRole slime-lazyload-reader
  rbac.authorization.k8s.io/v1 ClusterRole slime-lazyload-leases
  rbac.authorization.k8s.io/v1 ClusterRole slime-global-sidecar-pilot
  rbac.authorization.k8s.io/v1 ClusterRole slimeboot-installer
  rbac.authorization.k8s.io/v1 ClusterRole slimeboot-binder
  .apps/v1 Deployment slime-boot
  .policy/v1 PodDisruptionBudget slime-boot
  .v1 Service slime-boot
  .rbac.authorization.k8s.io/v1 RoleBinding slime-boot
  .rbac.authorization.k8s.io/v1 Role slime-boot
  .coordination.k8s.io/v1 Lease slime-boot
  .v1 ServiceAccount slime-boot'
POLICIES='slimeboot-marks slimeboot-namespaces slimeboot-roles slimeboot-spec'
