import Replication
import Testing

@testable import Simulator

@Suite("Scenarios")
struct ScenarioTests {
    @Test("what a seed draws is possible", arguments: 1...300)
    func possible(seed: UInt64) {
        let scenario = Scenario(seed: seed)
        #expect(scenario.hosts.count == 2)
        for (number, volume) in scenario.volumes.enumerated() {
            #expect(volume.areas.count > 0)
            for area in volume.areas.areas { #expect(area.sector + UInt64(area.count) <= volume.sectors) }
            for host in scenario.hosts {
                #expect(!host.hasInternalMetadata || host.dataSectors[number] >= 2048)
                let usable =
                    host.hasInternalMetadata
                    ? MetadataForge.internalUsable(capacity: host.dataSectors[number]) : host.dataSectors[number]
                #expect(usable >= volume.sectors)
            }
        }
        #expect(!scenario.isDual || scenario.hosts[0].network.wireProtocol == .c)
        for fault in scenario.faults { #expect(fault.time <= scenario.stormLength) }
    }

    @Test("a seed draws the same each time, another seed something else")
    func repeatable() {
        #expect(Scenario(seed: 5).summary == Scenario(seed: 5).summary)
        #expect(Scenario(seed: 5).summary != Scenario(seed: 6).summary)
    }
}
