package main

import (
	"fmt"

	"github.com/urfave/cli/v2"
)

const bashCompletion = `# wpkg completion for bash: eval "$(wpkg completion bash)"
_wpkg() {
  local cur words
  cur="${COMP_WORDS[COMP_CWORD]}"
  words=("${COMP_WORDS[@]:0:COMP_CWORD}")
  if [[ "$cur" == -* ]]; then
    words+=("$cur")
  fi
  COMPREPLY=($(compgen -W "$("${words[@]}" --generate-bash-completion 2>/dev/null)" -- "$cur"))
}
complete -o bashdefault -o default -F _wpkg wpkg
`

const zshCompletion = `#compdef wpkg
# wpkg completion for zsh: eval "$(wpkg completion zsh)"
_wpkg() {
  local -a opts
  local cur=${words[CURRENT]}
  if [[ "$cur" == -* ]]; then
    opts=("${(@f)$(${words[1,CURRENT-1]} "$cur" --generate-bash-completion 2>/dev/null)}")
  else
    opts=("${(@f)$(${words[1,CURRENT-1]} --generate-bash-completion 2>/dev/null)}")
  fi
  if [[ -n "${opts[1]}" ]]; then
    compadd -a opts
  fi
  _files
}
compdef _wpkg wpkg
`

const completionName = "completion"

func (t *tool) completionCommand() *cli.Command {
	return &cli.Command{
		Name:      completionName,
		Usage:     "print the completion script of a shell",
		ArgsUsage: "bash|zsh|fish",
		Action: func(c *cli.Context) error {
			if err := arguments(c, 1, 1); err != nil {
				return err
			}
			script := ""
			switch shell := c.Args().First(); shell {
			case "bash":
				script = bashCompletion
			case "zsh":
				script = zshCompletion
			case "fish":
				var err error
				if script, err = c.App.ToFishCompletion(); err != nil {
					return err
				}
			default:
				return &usageError{text: "completion: no script for " + shell, hint: "wpkg completion bash|zsh|fish"}
			}
			_, err := fmt.Fprint(t.out, script)
			return err
		},
	}
}
