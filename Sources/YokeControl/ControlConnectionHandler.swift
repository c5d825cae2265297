internal import NIOCore

/// One connection on the daemon's side: collects the request frame, then runs the command in a task.
///
/// Bytes after the first frame are a mistake of the client; the connection is closed. Lives on its event loop.
internal final class ControlConnectionHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let service: any ControlService
    private var received = ByteBuffer()
    private var task: Task<Void, Never>?
    private var timeout: Scheduled<Void>?

    init(service: any ControlService) {
        self.service = service
    }

    func handlerAdded(context: ChannelHandlerContext) {
        let channel = context.channel
        timeout = context.eventLoop.scheduleTask(in: .seconds(ControlServer.requestTimeoutSeconds)) {
            channel.close(promise: nil)
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var part = unwrapInboundIn(data)
        guard task == nil else { return refuse(context, "a second request on one connection") }
        received.writeBuffer(&part)
        do throws(ControlError) {
            guard let header = received.getBytes(at: received.readerIndex, length: ControlFrame.headerByteCount) else {
                return
            }
            let length = try ControlFrame.length(of: header)
            let expected = ControlFrame.headerByteCount + length
            guard received.readableBytes >= expected else { return }
            guard received.readableBytes == expected else { return refuse(context, "bytes after the request") }
            let body = received.getBytes(at: received.readerIndex + ControlFrame.headerByteCount, length: length) ?? []
            received = ByteBuffer()
            start(try ControlFrame.decode(ControlRequest.self, from: body), context)
        } catch {
            refuse(context, error.description)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        timeout?.cancel()
        task?.cancel()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    private func start(_ request: ControlRequest, _ context: ChannelHandlerContext) {
        timeout?.cancel()
        let output = ControlOutput(channel: context.channel)
        guard request.version == ControlRequest.currentVersion else {
            output.standardError(
                "this yoked speaks version \(ControlRequest.currentVersion) of the control protocol, the command"
                    + " version \(request.version): use a command and a daemon of one release\n")
            output.exit(20)
            return
        }
        let service = service
        task = Task {
            let status = await service.run(request, output: output)
            output.exit(status)
        }
    }

    private func refuse(_ context: ChannelHandlerContext, _ reason: String) {
        let output = ControlOutput(channel: context.channel)
        output.standardError("yoked refused the request: \(reason)\n")
        output.exit(20)
    }
}
