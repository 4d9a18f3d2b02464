#compdef wreg

_wreg() {
  local -a choices
  local current=${words[CURRENT]}
  if [[ $current == -* ]]; then
    choices=("${(@f)$(${words[1,CURRENT]} --generate-bash-completion 2>/dev/null)}")
  else
    choices=("${(@f)$(${words[1,CURRENT-1]} --generate-bash-completion 2>/dev/null)}")
  fi
  [[ -n ${choices[1]} ]] && compadd -- $choices || _files
}

compdef _wreg wreg
