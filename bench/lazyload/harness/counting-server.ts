/** The floor of receiving: the gRPC library of the controller with a method that counts messages, in a process of its own. */
import { Server, ServerCredentials, type ServerReadableStream, type sendUnaryData } from '@grpc/grpc-js'

const raw = (bytes: Buffer): Buffer => bytes
const path = '/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs'
const serialization = { requestSerialize: raw, requestDeserialize: raw, responseSerialize: raw, responseDeserialize: raw }

let messages = 0
const server = new Server({ 'grpc.max_receive_message_length': 4 * 1024 * 1024 })
server.addService(
  { streamAccessLogs: { path, requestStream: true, responseStream: false, ...serialization } },
  {
    streamAccessLogs: (call: ServerReadableStream<Buffer, Buffer>, done: sendUnaryData<Buffer>) => {
      call.on('data', () => messages++)
      call.once('end', () => done(null, Buffer.from(String(messages))))
    },
  },
)
server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => {
  if (error !== null) throw error
  console.log(JSON.stringify({ message: 'receiving', timestamp: new Date().toISOString(), port }))
})
