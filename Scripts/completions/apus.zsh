#compdef apus swift-sft swift-infer swift-export swift-merge-lora swift-params swift-tokenize swift-template
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
