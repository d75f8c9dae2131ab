# Makes of the Deployment of the workers a Job that runs `topology migrate` once, with their image,
# settings and secrets (docs/kubernetes.md#a-migration). $who is put on record as its author.
{
  apiVersion: "batch/v1",
  kind: "Job",
  metadata: {generateName: "consent-worker-migration-", namespace: .metadata.namespace},
  spec: {
    # A failure has a sentence that somebody is to read before it is run again.
    backoffLimit: 0,
    template: {
      metadata: {
        # Not those by which the Deployment, its budget and Prometheus find workers; `part-of` is what
        # the network policies let through to the broker.
        labels: {
          "app.kubernetes.io/name": "consent-worker-migration",
          "app.kubernetes.io/component": "migration",
          "app.kubernetes.io/part-of": "consent-worker"
        }
      },
      spec: (
        .spec.template.spec
        | del(.topologySpreadConstraints)
        | .restartPolicy = "Never"
        | .containers |= map(
            del(.startupProbe, .livenessProbe, .readinessProbe, .ports)
            | .name = "migration"
            | .args = ["topology", "migrate", "--as", $who]
          )
      )
    }
  }
}
