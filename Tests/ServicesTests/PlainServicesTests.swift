import Services
import Testing
import Transport

@Suite struct PlainServicesTests {
    private let start = ContinuousClock.now

    private func peer(_ number: UInt8) -> PeerAddress { PeerAddress(router: 0, peer: Router.Peer(id: [number])) }

    private func request(_ bytes: Int, after seconds: Int = 0) throws -> PlainServices.Request {
        let body = try Frame([UInt8](repeating: 7, count: bytes))
        return PlainServices.Request(
            client: peer(1), dialect: Majordomo.Dialect(), body: [body], arrived: start + .seconds(seconds))
    }

    private func requests(_ effects: [PlainServices.Effect]?) -> Int {
        (effects ?? []).count { if case .toWorker(_, .request, _) = $0 { true } else { false } }
    }

    @Test func `requests without room are turned away, and what a worker took makes room`() throws {
        var services = PlainServices(requestLimit: 2)
        #expect(services.request(try request(1), for: "a", now: start) != nil)
        #expect(services.request(try request(1), for: "a", now: start) != nil)
        #expect(services.request(try request(1), for: "a", now: start) == nil)
        #expect(services.request(try request(1), for: "b", now: start) != nil)
        #expect(requests(services.ready(peer(2), service: "a", dialect: Majordomo.Dialect(), now: start)) == 1)
        #expect(services.request(try request(1), for: "a", now: start) != nil)
    }

    @Test func `bytes are bounded for a service, and for all of them`() throws {
        var services = PlainServices(requestLimit: 1000)
        let megabytes = 32 << 20
        for name in ["a", "b", "c", "d"] {
            #expect(services.request(try request(megabytes), for: name, now: start) != nil)
            #expect(services.request(try request(megabytes), for: name, now: start) != nil)
            #expect(services.request(try request(1), for: name, now: start) == nil, "\(name) is full")
        }
        #expect(services.request(try request(1), for: "e", now: start) == nil, "all are full")
        // A worker takes one: there is room for as much again, for whichever service. When it is lost, its request comes back.
        #expect(requests(services.ready(peer(2), service: "a", dialect: Majordomo.Dialect(), now: start)) == 1)
        #expect(services.request(try request(megabytes), for: "e", now: start) != nil)
        #expect(services.request(try request(1), for: "f", now: start) == nil)
        #expect(requests(services.remove(peer(2), now: start)) == 0)
        #expect(requests(services.ready(peer(3), service: "a", dialect: Majordomo.Dialect(), now: start)) == 1)
        #expect(services.request(try request(1), for: "f", now: start) == nil, "the one that came back counts")
    }

    @Test func `what nobody serves is forgotten after a lease, what somebody serves is not`() throws {
        var services = PlainServices(requestLimit: 2, lease: .seconds(60))
        for name in ["served", "served", "waiting"] { #expect(services.request(try request(1), for: name, now: start) != nil) }
        #expect(services.request(try request(1, after: 50), for: "waiting", now: start + .seconds(50)) != nil)
        #expect(services.request(try request(1), for: "waiting", now: start) == nil)
        #expect(requests(services.ready(peer(2), service: "served", dialect: Majordomo.Dialect(), now: start + .seconds(50))) == 1)
        _ = services.tick(now: start + .seconds(61))
        #expect(services.request(try request(1, after: 61), for: "waiting", now: start + .seconds(61)) != nil, "one of two is gone")
        #expect(services.request(try request(1, after: 61), for: "waiting", now: start + .seconds(61)) == nil)
        // Its worker worked for a lease, and is lost: both requests wait for another one, as long as any.
        _ = services.tick(now: start + .seconds(111))
        let taken = services.ready(peer(3), service: "served", dialect: Majordomo.Dialect(), now: start + .seconds(112))
        #expect(requests(taken) == 1)
        let next = services.ready(peer(4), service: "served", dialect: Majordomo.Dialect(), now: start + .seconds(112))
        #expect(requests(next) == 1, "the one that waited behind another")
    }
}
