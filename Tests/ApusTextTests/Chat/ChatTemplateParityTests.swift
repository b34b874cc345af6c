import ApusJSON
import Foundation
import Testing

@testable import ApusText

/// Renders real models' templates, when they lie beside the checkout, and compares with the hashes of jinja2's texts.
struct ChatTemplateParityTests {
    static let folder = sharedFixtures("jinja/templates")

    private func fnv1a(_ text: String) -> String {
        let hash = text.utf8.reduce(0xCBF2_9CE4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
        let digits = String(hash, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    // Skipped where the folder of templates is absent: they belong to their models' makers.
    @Test(.enabled(if: folder != nil, "no shared/fixtures/jinja/templates beside the checkout"))
    func everyTemplateRendersAsInJinja2() throws {
        let folder = try #require(Self.folder)
        let digests = try JSONValue(parsing: Data(contentsOf: fixture("jinja/digests.json")))
        let lines = try Data(contentsOf: fixture("jinja/conversations.jsonl")).split(separator: UInt8(ascii: "\n"))
        let cases = try lines.map { line -> (name: String, variables: [String: JSONValue]) in
            let value = try JSONValue(parsing: Data(line))
            let object = try #require(value["variables"]?.objectValue)
            return (
                try #require(value["case"]?.stringValue),
                Dictionary(uniqueKeysWithValues: object.map { ($0.key, $0.value) })
            )
        }
        #expect(cases.count == 40)
        let clock = TemplateClock.fixed(Date(timeIntervalSince1970: 1_785_074_709))
        var compared = 0
        for file in try FileManager.default.contentsOfDirectory(atPath: folder.path) where file.hasSuffix(".jinja") {
            let source = try String(decoding: Data(contentsOf: folder.appendingPathComponent(file)), as: UTF8.self)
            let template = try ChatTemplate(source: source, clock: clock)
            let name = String(file.dropLast(6))
            for item in cases {
                let rendering = Result { try template.rendered(variables: item.variables) }
                let digest = (try? rendering.get()).map(fnv1a) ?? "error"
                #expect(digest == digests[name]?[item.name]?.stringValue, "\(name), \(item.name): \(rendering)")
                compared += 1
            }
        }
        #expect(compared >= 1400)
    }
}
