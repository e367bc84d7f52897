/**
 * Runs inside a pod: takes access logs as lazyload does, and appends each message to a file, framed as gRPC frames it: a zero byte, the
 * length in four bytes, the message. `record-stream.ts PORT FILE`
 */
import { appendFileSync } from 'node:fs'
import { Server, ServerCredentials, type ServerReadableStream } from '@grpc/grpc-js'

const [port = '', file = ''] = process.argv.slice(2)
const raw = (bytes: Buffer): Buffer => bytes
const server = new Server()
server.addService(
  {
    streamAccessLogs: {
      path: '/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs',
      requestStream: true,
      responseStream: false,
      requestSerialize: raw,
      requestDeserialize: raw,
      responseSerialize: raw,
      responseDeserialize: raw,
    },
  },
  {
    streamAccessLogs: (call: ServerReadableStream<Buffer, Buffer>) => {
      call.on('error', () => {})
      call.on('data', (message: Buffer) => {
        const frame = Buffer.alloc(5)
        frame.writeUInt32BE(message.length, 1)
        appendFileSync(file, Buffer.concat([frame, message]))
      })
    },
  },
)
server.bindAsync(`0.0.0.0:${port}`, ServerCredentials.createInsecure(), (error) => {
  if (error !== null) throw error
  process.stdout.write('receiving\n')
})
