# Completion of ctadata for bash 4.3 or newer:  eval "$(ctadata completion bash)"
_ctadata() {
    local line kind=
    COMPREPLY=()
    while IFS= read -r line; do
        if [[ -z $kind ]]; then kind=$line; else COMPREPLY+=("${line%%$'\t'*}"); fi
    done < <(printf %s "${COMP_LINE:0:COMP_POINT}" |
        COMP_WORDBREAKS=$COMP_WORDBREAKS "${1/#\~\//$HOME/}" __complete bash 2>/dev/null)
    # Readline then quotes what the shell would not take as it is, and shows names without their folder.
    [[ $kind == paths ]] && compopt -o filenames
    [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == */ ]] && compopt -o nospace
    return 0
}
complete -F _ctadata ctadata
