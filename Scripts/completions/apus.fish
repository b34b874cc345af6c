# Completion of apus for fish: commands, options, values and files.
function __apus_complete
    set -l typed (commandline -ct)
    set -l before (commandline -opc)
    for offer in ($before[1] --complete (count $before) $before "$typed" 2>/dev/null)
        if test "$offer" = :files
            __fish_complete_path "$typed"
        else
            echo "$offer"
        end
    end
end
for name in apus swift-sft swift-infer swift-export swift-merge-lora swift-params swift-tokenize swift-template
    complete -c $name -f -a "(__apus_complete)"
end
