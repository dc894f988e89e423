internal import Logging
internal import Messages
internal import Transport

/// Releases, which the desk answers for.
extension DispatcherCore {
    func releases(_ body: [Frame], _ sender: Sender) {
        let call: ReleaseRequest
        do throws(MessageError) {
            guard let envelope = body.first else { throw .emptyBatch }
            call = try ReleaseRequest(envelope: envelope.bytes)
        } catch {
            return send(ReleaseReply(code: error.code, message: "\(error)"), nil, sender)
        }
        allowed(sender, call.roles, ReleaseRequest.service) {
            desk.take(
                ReleaseDesk.Request(call: call, content: Array(body.dropFirst()), caller: sender.caller.name) { [self] reply, content in
                    send(reply, content, sender)
                })
        }
    }

    private func send(_ reply: ReleaseReply, _ content: [UInt8]?, _ sender: Sender) {
        do throws(MessageError) {
            self.reply(to: sender, ReleaseRequest.service, [try reply.encode()] + (content.map { [$0] } ?? []))
        } catch {
            logger.error("a reply could not be made", metadata: ["error": "\(error)"])
        }
    }
}
