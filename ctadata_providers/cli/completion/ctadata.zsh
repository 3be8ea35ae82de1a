#compdef ctadata
# Completion of ctadata for zsh:  eval "$(ctadata completion zsh)", or this text as _ctadata in a folder of $fpath
_ctadata() {
    local current line kind text
    local -a lines words_given files folders shown
    case $compstate[quote] in
        ("'") current=$PREFIX ;;
        ('"') current=${(Q):-\"$PREFIX\"} ;;
        (*) current=${(Q)PREFIX} ;;
    esac
    words_given=("${(@Q)words[2,CURRENT-1]}")
    lines=("${(@f)$(print -rN -- "${words_given[@]}" "$current" | ${(Q)words[1]/#\~\//$HOME/} __complete zsh 2>/dev/null)}")
    kind=$lines[1]
    shift lines
    if [[ $kind == paths ]]; then
        compset -P '*/'
        for line in $lines; do
            text=${line%%$'\t'*}
            if [[ $text == cta:// && $current != */* ]]; then
                folders+=($text)
            elif [[ $text == */ ]]; then
                text=${text%/}
                folders+=("${text##*/}/")
            else
                files+=("${text##*/}")
            fi
        done
        compadd -S '' -a folders
        compadd -a files
    else
        for line in $lines; do
            files+=("${line%%$'\t'*}")
            shown+=("${line/$'\t'/  -- }")
        done
        compadd -l -d shown -a files
    fi
}
if [[ $funcstack[1] == _ctadata ]]; then
    _ctadata "$@"
else
    (( $+functions[compdef] )) || { autoload -U compinit && compinit }
    compdef _ctadata ctadata
fi
