# Completion of apus for bash: commands, options, values and files.
_apus() {
    local line
    COMPREPLY=()
    while IFS= read -r line; do
        if [ "$line" = :files ]; then
            compopt -o default -o bashdefault 2>/dev/null
        else
            COMPREPLY+=("$line")
        fi
    done < <("${COMP_WORDS[0]}" --complete "$COMP_CWORD" "${COMP_WORDS[@]}" 2>/dev/null)
    # `default` only helps where nothing else is offered.
    if [ ${#COMPREPLY[@]} -gt 0 ] && [ "$line" = :files ]; then
        while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -f -- "${COMP_WORDS[COMP_CWORD]}")
    fi
}
complete -F _apus apus swift-sft swift-infer swift-export swift-merge-lora swift-params swift-tokenize swift-template
