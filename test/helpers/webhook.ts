/** A validating admission webhook of a test, for the ConfigMaps of one namespace: refuses, hangs or agrees as it is told. */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { ClusterAccess } from '../../local-cluster/access.ts'
import type { Client } from '../../runtime/client.ts'
import type { ResourceType } from '../../runtime/resource.ts'

export type Mood = 'agrees' | 'refuses' | 'hangs'

export interface Webhook extends AsyncDisposable {
  mood: Mood
  /** Times that it was asked. */
  asked: number
}

const CONFIGURATION: ResourceType = {
  apiVersion: 'admissionregistration.k8s.io/v1',
  kind: 'ValidatingWebhookConfiguration',
  plural: 'validatingwebhookconfigurations',
  namespaced: false,
}

/** Serves it on a free port with the API server's own certificate, and registers it; gone when disposed. */
export async function startWebhook(cluster: ClusterAccess, client: Client, namespace: string, mood: Mood): Promise<Webhook> {
  const certificate = readFileSync(cluster.caFile)
  const server = createServer({ cert: certificate, key: readFileSync(join(dirname(cluster.caFile), 'apiserver.key')) })
  const name = `${namespace}.example.com`
  const webhook: Webhook = {
    mood,
    asked: 0,
    async [Symbol.asyncDispose]() {
      await client.remove({ type: CONFIGURATION, name })
      server.closeAllConnections()
      server.close()
    },
  }
  server.on('request', (request, response) => {
    void text(request).then((body) => {
      webhook.asked++
      if (webhook.mood === 'hangs') return
      const { uid } = (JSON.parse(body) as { request: { uid: string } }).request
      const verdict = { uid, allowed: webhook.mood === 'agrees', status: { message: 'no ConfigMaps on a Sunday' } }
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response: verdict }))
    })
  })
  server.listen(0, '127.0.0.1')
  server.unref()
  await once(server, 'listening')
  await client.create(CONFIGURATION, {
    apiVersion: CONFIGURATION.apiVersion,
    kind: CONFIGURATION.kind,
    metadata: { name },
    webhooks: [
      {
        name,
        clientConfig: { url: `https://127.0.0.1:${(server.address() as AddressInfo).port}/`, caBundle: certificate.toString('base64') },
        rules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE', 'UPDATE'], resources: ['configmaps'] }],
        namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': namespace } },
        failurePolicy: 'Fail',
        sideEffects: 'None',
        admissionReviewVersions: ['v1'],
        timeoutSeconds: 1,
      },
    ],
  })
  return webhook
}
