# Completion of ctadata for fish:  ctadata completion fish > ~/.config/fish/completions/ctadata.fish
function __ctadata_complete
    set -l words (commandline -opc)
    set -l typed (commandline -ct)
    # A quote may be open still.
    set -l current (string unescape -- $typed; or string unescape -- $typed\'; or string unescape -- $typed\")
    test (count $current) -eq 1; or set current "$typed"
    # The first line tells the kind of the others, which fish need not know.
    printf '%s\0' $words[2..] $current | command $words[1] __complete fish 2>/dev/null | tail -n +2
end
complete -c ctadata -f -a '(__ctadata_complete)'
