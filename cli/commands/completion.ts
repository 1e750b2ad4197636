/** `raftsman completion`: scripts for bash, zsh and fish. They ask the program itself, with `__complete`. */
import type { Command } from 'commander';
import { failure } from '../client/errors.ts';
import { tellFailure } from '../client/session.ts';
import type { CommandContext } from '../context.ts';
import { ClusterCommand } from './cluster-command.ts';

export function register(program: Command, context: CommandContext): void {
  const command = new ClusterCommand('completion')
    .argument('[words...]')
    .usage('bash|zsh|fish')
    .summary('print a script that completes commands in a shell')
    .description('Prints a script with which a shell completes commands, flags, types and names of objects.')
    .addHelpText(
      'after',
      `
Examples:
  source <(raftsman completion bash)
  raftsman completion zsh > "\${fpath[1]}/_raftsman"
  raftsman completion fish > ~/.config/fish/completions/raftsman.fish`,
    )
    .action((words: readonly string[]) => {
      const [shell, ...more] = words;
      const script = shell === undefined || more.length > 0 ? undefined : SCRIPTS[shell];
      if (script) context.stdout.write(script(context.name));
      else {
        const what =
          more.length > 0
            ? 'Too many arguments. Expected only the shell type.'
            : shell === undefined
              ? 'Shell not specified.'
              : `Unsupported shell type ${JSON.stringify(shell)}.`;
        tellFailure(context, failure(`${what}\nSee 'raftsman completion -h' for help and examples`));
      }
    });
  program.addCommand(command);
}

/** The program prints one candidate a line, and behind a tab what it is. */
const SCRIPTS: Readonly<Record<string, (name: string) => string>> = {
  bash: name => `# bash completion for ${name}
__${name}_complete() {
  local IFS=$'\\n' current="\${COMP_WORDS[COMP_CWORD]}" line prefix=""
  COMPREPLY=()
  # bash takes ':' and '=' as ends of words.
  local words
  words="\${COMP_LINE:0:COMP_POINT}"
  local -a given
  IFS=' ' read -r -a given <<<"$words"
  [ "\${words: -1}" = ' ' ] && given+=("")
  local last="\${given[-1]}"
  [ "$last" != "$current" ] && prefix="\${last%"$current"}"
  while IFS= read -r line; do
    line="\${line%%$'\\t'*}"
    [ -n "$line" ] && COMPREPLY+=("\${line#"$prefix"}")
  done < <(${name} __complete "\${given[@]:1}" 2>/dev/null)
  [[ \${#COMPREPLY[@]} -eq 1 && "\${COMPREPLY[0]}" == *[=/:] ]] && compopt -o nospace
  return 0
}
complete -o default -F __${name}_complete ${name}
`,
  zsh: name => `#compdef ${name}
_${name}() {
  local -a candidates
  local line
  while IFS= read -r line; do
    [ -z "$line" ] && continue
    candidates+=("\${\${line%%$'\\t'*}//:/\\\\:}:\${line#*$'\\t'}")
  done < <(${name} __complete "\${(@)words[2,CURRENT]}" 2>/dev/null)
  if [ \${#candidates} -gt 0 ]; then
    _describe -V '${name}' candidates
  else
    _files
  fi
}
if [ "$funcstack[1]" = "_${name}" ]; then
  _${name} "$@"
else
  compdef _${name} ${name}
fi
`,
  fish: name => `# fish completion for ${name}
function __${name}_complete
  set -l words (commandline -opc) (commandline -ct)
  ${name} __complete $words[2..-1] 2>/dev/null
end
complete -c ${name} -f -a '(__${name}_complete)'
`,
};
