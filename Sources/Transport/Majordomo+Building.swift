extension Majordomo {
    /// A client's request.
    package static func request(service: String, body: [Frame], _ dialect: Dialect) throws(TransportError) -> [Frame] {
        var frames = try head(dialect.version == .v01 ? .client01 : .client02, dialect)
        if dialect.version == .v02 { frames.append(try Frame([ClientCommand(sharesNumbers: dialect.sharesNumbers).request])) }
        frames.append(try Frame(Array(service.utf8)))
        return frames + body
    }

    /// A worker's message.
    package static func fromWorker(_ message: ToBroker, _ dialect: Dialect) throws(TransportError) -> [Frame] {
        var frames = try head(dialect.version == .v01 ? .worker01 : .worker02, dialect)
        let numbers = WorkerCommand(dialect.version)
        switch message {
        case .request(let service, let body): return try request(service: service, body: body, dialect)
        case .ready(let service, let info):
            frames += [try Frame([numbers.ready]), try Frame(Array(service.utf8))]
            if let info { frames.append(info) }
        case .partial(let client, let body):
            // What can't be said in version 0.1 is said as its only kind of reply.
            frames += [try Frame([numbers.partial ?? numbers.final]), client, try Frame([])] + body
        case .final(let client, let body): frames += [try Frame([numbers.final]), client, try Frame([])] + body
        case .heartbeat(let info):
            frames.append(try Frame([numbers.heartbeat]))
            if let info { frames.append(info) }
        case .disconnect: frames.append(try Frame([numbers.disconnect]))
        }
        return frames
    }

    /// A broker's message to a worker.
    package static func toWorker(_ message: ToWorker, _ dialect: Dialect) throws(TransportError) -> [Frame] {
        var frames = try head(dialect.version == .v01 ? .worker01 : .worker02, dialect)
        let numbers = WorkerCommand(dialect.version)
        switch message {
        case .request(let client, let body): frames += [try Frame([numbers.request]), client, try Frame([])] + body
        case .heartbeat(let info):
            frames.append(try Frame([numbers.heartbeat]))
            if let info { frames.append(info) }
        case .disconnect: frames.append(try Frame([numbers.disconnect]))
        }
        return frames
    }

    /// A broker's reply to a client. Version 0.1 knows no PARTIAL: sending one there is the caller's mistake.
    package static func toClient(_ reply: ToClient, _ dialect: Dialect) throws(TransportError) -> [Frame] {
        var frames = try head(dialect.version == .v01 ? .client01 : .client02, dialect)
        if dialect.version == .v02 {
            let numbers = ClientCommand(sharesNumbers: dialect.sharesNumbers)
            frames.append(try Frame([reply.isFinal ? numbers.final : numbers.partial]))
        }
        if !dialect.sharesNumbers { frames.append(try Frame(Array(reply.service.utf8))) }
        return frames + reply.body
    }

    private static func head(_ header: Header, _ dialect: Dialect) throws(TransportError) -> [Frame] {
        let name = try Frame(Array(header.rawValue.utf8))
        return dialect.isDelimited ? [try Frame([]), name] : [name]
    }
}
