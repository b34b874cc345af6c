/// The scripts through which shells complete commands, options, values and files; each asks `apus --complete`.
enum CompletionScript {
    /// The script for a shell; nil for one that is not known.
    static func text(for shell: String) -> String? {
        switch shell.split(separator: "/").last {
        case "bash": bash
        case "zsh": zsh
        case "fish": fish
        default: nil
        }
    }

    private static let bash = #"""
        # Completion of apus for bash: commands, options, values and files.
        _apus() {
            local line files=""
            COMPREPLY=()
            while IFS= read -r line; do
                if [ "$line" = :files ]; then
                    files=yes
                else
                    COMPREPLY+=("$line")
                fi
            done < <("${COMP_WORDS[0]}" --complete "$COMP_CWORD" "${COMP_WORDS[@]}" 2>/dev/null)
            if [ -n "$files" ]; then
                compopt -o filenames 2>/dev/null
                while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -f -- "${COMP_WORDS[COMP_CWORD]}")
            fi
        }
        complete -F _apus apus swift-sft swift-rlhf swift-infer swift-export swift-merge-lora swift-params swift-tokenize swift-template
        """#

    private static let zsh = #"""
        #compdef apus swift-sft swift-rlhf swift-infer swift-export swift-merge-lora swift-params swift-tokenize swift-template
        # Completion of apus for zsh: commands, options, values and files.
        _apus() {
            local -a offers
            offers=("${(@f)$(${words[1]} --complete $((CURRENT - 1)) "${words[@]}" 2>/dev/null)}")
            if (( ${offers[(Ie):files]} )); then
                offers=("${(@)offers:#:files}")
                _files
            fi
            offers=("${(@)offers:#}")
            (( ${#offers} )) && compadd -- "${offers[@]}"
        }
        _apus "$@"
        """#

    private static let fish = #"""
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
        for name in apus swift-sft swift-rlhf swift-infer swift-export swift-merge-lora swift-params swift-tokenize swift-template
            complete -c $name -f -a "(__apus_complete)"
        end
        """#
}
