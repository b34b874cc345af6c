"""Wrong rewards, programs and sizes of rounds, for wrong_inputs.py."""

from wrong_case import Case


def classifier(m):
    """A model that tells two classes apart, trained for a step."""
    rows = m.lines("classes.jsonl", [{"text": f"text {i}", "label": i % 2} for i in range(8)])
    folder = m.work / "two-labels"
    m.make("sft", *m.training(rows=rows)[1:], "--task_type", "seq_cls", "--num_labels", 2, "--problem_type",
           "single_label_classification", "--max_steps", 1, "--output_dir", folder, "--add_version", "false")
    return folder / "checkpoint-1"


def cases_of_rewards(m):
    asked = m.lines("asked.jsonl", [{"query": f"q{i}", "solution": "4"} for i in range(8)])

    def program(name, text):
        file = m.text(name, "#!/bin/sh\n" + text)
        file.chmod(0o755)
        return file

    def case(name, culprits, *more, method="grpo", rows=None, reward="format"):
        words = ["rlhf", "--rlhf_type", method, *m.sft(*more, rows=rows or asked)[1:]]
        keeps = ""
        if isinstance(name, tuple):
            name, keeps = name
        for option, value in (("--per_device_train_batch_size", 8), ("--max_completion_length", 4)):
            words += [option, value] if option not in more else []
        return Case(name, words + (["--reward_funcs", reward] if reward else []), culprits, keeps=keeps)

    def later(name, deed, culprits):
        """A program that judges as long as no step is logged; the steps before are kept."""
        folder = m.work / f"kept-{deed.split()[0]}"
        script = f'while read -r line; do if [ -s "{folder}/logging.jsonl" ]; then {deed}; fi; echo 1; done\n'
        return case(
            (name, f"{folder.name}/checkpoint-1"), culprits, "--output_dir", folder, "--add_version", "false", "--logging_steps",
            1, "--reward_timeout", 1, reward=program(f"later-{deed.split()[0]}.sh", script))

    def sample(name, culprits, *more):
        return Case(name, ["sample", "--model", m.model, "--dataset", asked, "--output_dir", m.work / "sampled", "--device", "cpu", *more], culprits)

    good = program("good.sh", "while read -r line; do echo 1; done\n")
    return [
        case("answers that nothing rewards", ["--reward_funcs", "--reward_model"], reward=None),
        case("reward that nobody knows", ["\"acuracy\"", "accuracy"], reward="acuracy"),
        case("reward program that is not there", ["none.py"], reward=m.work / "none.py"),
        case("reward program that may not be run", ["plain.sh"], reward=m.text("plain.sh", "#!/bin/sh\n")),
        case("reward program that dies", ["dies.sh", "3"], reward=program("dies.sh", "exit 3\n")),
        case("reward program that hangs", ["hangs.sh"], "--reward_timeout", 1, reward=program("hangs.sh", "sleep 60\n")),
        case("reward program that prints words", ["words.sh", "good"], reward=program(
            "words.sh", "while read -r line; do echo good; done\n")),
        case("reward program that gives too few numbers", ["few.sh"], reward=program("few.sh", "read -r line; echo 1\n")),
        case("reward program whose number is none", ["nan.sh"], reward=program(
            "nan.sh", "while read -r line; do echo nan; done\n")),
        case("reward command with an open quote", ["'", "exec:"], reward="exec:sh 'good.sh"),
        later("reward program that dies in a later batch", "exit 3", ["later-exit.sh", "3"]),
        later("reward program that hangs in a later batch", "sleep 60", ["later-sleep.sh", "nothing within 1 seconds"]),
        later("reward program that writes words in a later batch", "echo good", ["later-echo.sh", "good"]),
        case("rows whose solutions are lists", ["lists.jsonl", "solution", "no text and no number"], reward="accuracy",
             rows=m.lines("lists.jsonl", [{"query": f"q{i}", "solution": ["4"]} for i in range(8)])),
        case("a row without a solution, --strict", ["mixed.jsonl:3", "solution"], "--strict", "true", reward="accuracy",
             rows=m.lines("mixed.jsonl", [{"query": f"q{i}"} | ({} if i == 2 else {"solution": "4"}) for i in range(8)])),
        case("sizes of rounds that contradict each other", ["--generation_batch_size", "--steps_per_generation"],
             "--generation_batch_size", 16, "--steps_per_generation", 4),
        case("answers without chance", ["--temperature", "0"], "--temperature", 0),
        case("conversations without an answer", ["--max_turns", "0"], "--max_turns", 0, "--multi_turn_scheduler",
             "math_tip_trick"),
        case("weights of rewards that are too many", ["--reward_weights", "2"], "--reward_weights", 1, 2),
        case("answers that are no multiple of a group", ["--num_generations", "6"], "--per_device_train_batch_size", 6),
        case("groups of one", ["--num_generations 1"], "--num_generations", 1),
        case("more uses of answers than anybody counts", ["--num_iterations"], "--num_iterations", 9_000_000_000_000_000_000),
        case("more answers than anybody samples together", ["--per_device_train_batch_size", "--steps_per_generation"],
             "--per_device_train_batch_size", 2_147_483_647, "--steps_per_generation", 65_536),
        case("more answers to a question than that", ["--num_generations"], "--num_generations", 2_147_483_647),
        case("best checkpoint by a reward under its name as it is asked", ["rewards/MathAccuracy/mean", "accuracy"],
             "--metric_for_best_model", "rewards/accuracy/mean", reward="accuracy"),
        case("best checkpoint of PPO by a spread", ["--metric_for_best_model", "reward_std"], "--metric_for_best_model", "reward_std",
             method="ppo", reward=good),
        case("fewer questions than a round asks", ["questions"], "--steps_per_generation", 64),
        case("answers longer than the model", ["--max_completion_length"], "--max_completion_length", 100_000),
        case("ratios that are all cut", ["cispo", "--epsilon_high"], "--loss_type", "cispo"),
        case("cap below the clip", ["--delta"], "--delta", 1.1),
        case("loss of pairs", ["--loss_type", "sigmoid"], "--loss_type", "sigmoid"),
        case("questions whose end is cut", ["--truncation_strategy", "left"], "--truncation_strategy", "right"),
        case("rows without a solution", ["solution"], reward="accuracy", rows=m.lines(
            "unsolved.jsonl", [{"query": f"q{i}"} for i in range(8)])),
        case("rows without a question", ["answers.jsonl"], rows=m.lines(
            "answers.jsonl", [{"messages": [{"role": "assistant", "content": "a"}]}] * 4)),
        case("reward model that is a language model", ["--num_labels 1"], "--reward_model", m.model, reward=None),
        case("reward model with two labels", ["two-labels", "2 labels"], "--reward_model", classifier(m), reward=None),
        case("reward model that is not there", ["nowhere"], "--reward_model", m.work / "nowhere", reward=None),
        case("PPO without rewards", ["ppo", "--reward_funcs"], method="ppo", reward=None),
        case("PPO that clips to nothing", ["--cliprange"], "--cliprange", 0, method="ppo", reward=good),
        case("a scheduler of turns that there is not", ["--multi_turn_scheduler", "gym_scheduler"],
             "--multi_turn_scheduler", "gym_scheduler"),
        case("a scheduler of turns that writes words", ["--multi_turn_scheduler", "hello"],
             "--multi_turn_scheduler", "exec:echo hello"),
        case("an environment of gym", ["--gym_env", "--multi_turn_scheduler"], "--gym_env", "lake"),
        sample("judge that is not there", ["rewards/score.py"], "--orm_model", "rewards/score.py"),
        sample("judge whose command has an open quote", ["'"], "--orm_model", "exec:sh 'good.sh"),
        sample("answers of earlier runs that are none", ["cached.jsonl", "messages"], "--sampler_engine", "no", "--cache_files",
               m.lines("cached.jsonl", [{"id": "a", "messages": [{"role": "user", "content": "a"}]}]), "--reward_funcs", "format"),
    ]
