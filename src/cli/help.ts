import { Command } from "commander";

/** The `help` of a command that has others below it: of as many words as somebody writes, what `--help` says behind them. */
export function helpCommand(of: Command): Command {
  return new Command("help")
    .description("Show how a command is used.")
    .argument("[command...]", "its words, such as account set")
    .helpOption(false)
    .action(async (words: readonly string[]) => {
      let command = of;
      for (const word of words) {
        const next = command.commands.find((one) => one.name() === word);
        if (!next) return void (await nameUnknown(command, word));
        command = next;
      }
      command.help();
    });
}

/** As where it is run: with those that may have been meant. A command that has none below it would do its work. */
function nameUnknown(command: Command, word: string): Promise<unknown> {
  if (command.commands.length > 0) return command.parseAsync([word], { from: "user" });
  command.error(`error: unknown command '${word}'`);
}
