internal import Configuration

// Commands on the configuration as a whole, dump, and up. Spec: drbd-config-and-tools 8, 10.

extension AdministrationPlanner {
    mutating func planConfigurationCommand(_ name: String) -> AdministrationPlan.Manner {
        let targets = request.isStacked ? [] : TargetSelection.all(in: configuration)
        switch name {
        case "sh-resources":
            print(targets.map(\.resource.name).joined(separator: " "))
        case "sh-mod-parms":
            print("minor_count=\(configuration.global.minorCount ?? 32)")
        case "sh-status":
            planStatusVariables(targets)
        case "wait-con-int":
            for target in targets {
                for volume in target.volumes {
                    group += 1
                    add(.drbdsetup(calls.waitConnect(target, volume)), .unlimited, of: target)
                }
            }
            return .concurrent
        default:
            break  // sh-nop: to have read the configuration is all.
        }
        return .plain
    }

    /// Spec: drbd-config-and-tools 12.4.
    private mutating func planStatusVariables(_ targets: [Target]) {
        add(.print("_drbd_version=8.4.11\n_drbd_api=\(ProgramIdentity.apiVersion)\n"))
        add(.print("_config_file=\(configuration.path)\n\n\n"))
        for target in targets {
            let resource = target.resource
            group += 1
            add(
                .print(
                    """
                    _conf_res_name=\(ShellText.escaped(resource.name))
                    _conf_file_line=\(resource.file):\(resource.location.line)

                    _stacked_on=
                    _stacked_on_device=
                    _stacked_on_minor=

                    """))
            for volume in target.volumes {
                add(.print("_conf_volume=\(volume.number)\n"))
                add(.drbdsetup(["sh-status", "\(volume.minor)"]), .short, of: target)
            }
        }
    }

    mutating func planDump(_ targets: [Target]) {
        if request.targets.isEmpty || request.targets == ["all"] {
            add(.print(ConfigurationDump.all(configuration)))
        } else {
            add(.print(ConfigurationDump.resources(targets.map(\.resource), of: configuration)))
        }
    }

    /// All resources stage by stage: new-resource and new-minor, attach, connect.
    mutating func planUp(_ targets: [Target]) {
        for target in targets {
            group += 1
            let remark = "\(program.name): new-minor \(target.resource.name): skipped due to earlier error\n"
            add(.drbdsetup(calls.newResource(target)), .medium, stage: .createResource, of: target)
            for volume in target.volumes {
                add(
                    .drbdsetup(calls.newMinor(target, volume)), .medium, stage: .createResource, of: target,
                    skipRemark: remark)
            }
        }
        for target in targets {
            for volume in target.volumes {
                group += 1
                planAttach(target, volume, stage: .adjustDisk)
            }
        }
        for target in targets {
            group += 1
            planConnect(target)
        }
    }

    mutating func planConnect(_ target: Target) {
        guard let words = calls.connect(target) else { return failWithoutPeer(target, stage: .adjustNet) }
        add(.drbdsetup(words), .long, stage: .adjustNet, of: target)
    }
}
