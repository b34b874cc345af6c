import Testing

@testable import ApusJSON
@testable import ApusNN
@testable import ApusOptimizers
@testable import ApusTorch

/// Learning rates against `transformers.get_scheduler` (Scripts/fixtures/make_schedules.py).
struct ScheduleTests {
    private func differs(_ ours: Double, _ theirs: Double) -> Bool {
        abs(ours - theirs) > 1e-12 * max(abs(theirs), 1e-300)
    }

    @Test func everyStepIsThatOfTransformers() throws {
        let json = try Fixture.json("schedules/schedules.json")
        let (peak, steps) = (try #require(json["peak"]?.doubleValue), try #require(json["steps"]?.intValue))
        var kinds = Set<ScheduleKind>()
        for run in json["runs"]?.arrayValue ?? [] {
            let kind = try #require(ScheduleKind(rawValue: run["name"]?.stringValue ?? ""))
            kinds.insert(kind)
            let schedule = Schedule(
                kind, peak: peak, warmupSteps: try #require(run["warmup"]?.intValue), totalSteps: steps,
                options: try options(run["options"], of: kind, peak: peak))
            let rates = try #require(run["rates"]?.arrayValue).compactMap(\.number)
            #expect(rates.count == steps)
            for (step, rate) in rates.enumerated() where differs(schedule.rate(at: step), rate) {
                Issue.record(
                    "\(kind.rawValue) \(run["options"]?.serialized() ?? "") at \(step): \(schedule.rate(at: step)), \(rate)"
                )
            }
        }
        #expect(kinds.union([.reduceOnPlateau]) == Set(ScheduleKind.allCases))
    }

    @Test func plateausAreThoseOfTorch() throws {
        let json = try Fixture.json("schedules/schedules.json")
        let peak = try #require(json["peak"]?.doubleValue)
        for run in try #require(json["plateaus"]?.arrayValue) {
            let metrics = try #require(run["metrics"]?.arrayValue).compactMap(\.number)
            let rates = try #require(run["rates"]?.arrayValue).compactMap(\.number)
            let options = try plateau(run["options"])
            // One goes on from what the other saved, as a resumed run does.
            var course = try Plateau(peak: peak, options: options)
            for (index, metric) in metrics.enumerated() {
                try course.note(metric)
                #expect(try !differs(course.rate(), rates[index]), "\(run["options"]?.serialized() ?? "") at \(index)")
                let next = try Plateau(peak: peak, options: options)
                try next.state[0].tensor.copy(from: course.state[0].tensor)
                course = next
            }
        }
    }

    private func options(_ json: JSONValue?, of kind: ScheduleKind, peak: Double) throws -> ScheduleOptions {
        var options = ScheduleOptions()
        for (name, value) in json?.objectValue ?? [:] {
            let number = value.number ?? 0
            switch name {
            case "num_cycles": options.cycles = number
            case "lr_end": options.endRate = number
            case "power": options.power = number
            case "timescale": options.timescale = Int(number)
            case "min_lr": options.minimumShare = number / peak
            case "min_lr_rate", "min_lr_ratio": options.minimumShare = number
            case "warmup_lr_rate": options.warmupShare = number
            case "num_decay_steps": options.decaySteps = Int(number)
            case "num_stable_steps": options.stableSteps = Int(number)
            case "warmup_type": options.warmupRamp = try #require(ScheduleRamp(rawValue: value.stringValue ?? ""))
            case "decay_type": options.decayRamp = try #require(ScheduleRamp(rawValue: value.stringValue ?? ""))
            default: Issue.record("\(name) is no option")
            }
        }
        return options
    }

    private func plateau(_ json: JSONValue?) throws -> PlateauOptions {
        var options = PlateauOptions()
        for (name, value) in json?.objectValue ?? [:] {
            let number = value.number ?? 0
            switch name {
            case "mode": options.seeksMore = value.stringValue == "max"
            case "threshold_mode": options.isRelative = value.stringValue == "rel"
            case "factor": options.factor = number
            case "patience": options.patience = Int(number)
            case "threshold": options.threshold = number
            case "cooldown": options.cooldown = Int(number)
            case "min_lr": options.leastRate = number
            case "eps": options.leastChange = number
            default: Issue.record("\(name) is no option")
            }
        }
        return options
    }
}

extension JSONValue {
    fileprivate var number: Double? { doubleValue ?? intValue.map(Double.init) }
}
