/**
 * Runs inside the pod of a global-sidecar and sends lines of its access log, as its Envoy would.
 * `send-access-log.ts HOST PORT SOURCE CLUSTER…`: SOURCE is the caller's address, each CLUSTER the upstream cluster of one request.
 */
import { messageOf, openLogStream } from '../access-log.ts'

const [host = '', port = '', directRemote = '', ...clusters] = process.argv.slice(2)
const stream = openLogStream(Number(port), host)
stream.send(messageOf(clusters.map((upstreamCluster) => ({ directRemote, upstreamCluster }))))
await stream.end()
