#!/usr/bin/env python3
"""Trains the three tiny models of `tokshift demo` from nothing and samples the datasets that it scores.

    pip install torch==2.13.0 transformers==5.19.0 tokenizers==0.23.3
    python scripts/train_demo.py [STAGE ...]     # tokenizer base sft rl data check; all of them by default

Everything lands in assets/demo. A stage reads what earlier stages wrote and draws from its own seed, so it should give
the same bytes alone or in a whole run (about ten minutes of one core), given the same versions and machine.

    base  pretrained on text that this script makes up: sums, stories, lists and careless dialogues
    sft   base fine-tuned on dialogues that show a step, then `Answer: ...`, with a small pull towards base
    rl    base trained by REINFORCE to answer sums; the reward is 1 if the last number said is the right one

A model is what its file holds: weights rounded to bf16. Stages start from, sample from and measure those, computing in
f32. Samples are drawn at temperature 1 from the whole vocabulary, so estimates that rest on that have known means:
`check` fails if any of them strays.
"""

import argparse
import functools
import json
import math
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import Qwen3Config, Qwen3ForCausalLM
from transformers.utils import logging

OUT = Path(__file__).parents[1] / "assets" / "demo"
MODELS = ["base", "sft", "rl"]
THREADS = 1

SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
END_OF_TEXT, _, END = range(len(SPECIALS))
VOCAB = 640
IGNORE = -100

MAX_RESPONSE = 64
PROMPTS = {"arithmetic": 48, "chat": 24}
ROLLOUTS = 4
SAMPLED = [("rl", "arithmetic"), ("sft", "arithmetic"), ("base", "arithmetic"), ("rl", "chat"), ("sft", "chat")]

# --- What the text is about ---

NAMES = ["Mira", "Tom", "Ada", "Oskar", "Lena", "Yusuf", "Ines", "Paul"]
ANIMALS = ["fox", "otter", "crow", "mole", "hare", "toad"]
PLACES = ["forest", "harbour", "village", "market", "valley", "old mill"]
FINDS = ["shell", "lamp", "key", "button", "feather", "coin"]
MOODS = ["happy", "tired", "curious", "proud", "quiet"]
WORDS = ["apple", "bell", "cloud", "drum", "egg", "fish", "goat", "hat", "ink", "jam", "kite", "leaf", "moon", "nest"]
CAPITALS = {"Ardan": "Velm", "Borria": "Sost", "Cendal": "Mirka", "Dovra": "Tull", "Estany": "Quillo", "Fenmark": "Ash"}
SMALL_TALK = {
    "Hello, how are you?": "I am well, thank you.",
    "Good morning!": "Good morning to you.",
    "Thank you for the help.": "You are welcome.",
    "Can you tell me a joke?": "A crow walks into a market.",
    "What do you like?": "I like numbers and words.",
    "Good night!": "Sleep well.",
}
SHRUGS = ["I am not sure.", "That is hard to say.", "Let us talk about the sea.", "Ask me later."]
LARGEST = 30


@dataclass(frozen=True)
class Sum:
    """`left` plus or minus `right`. One in eleven is held out: datasets ask for these, training text never does."""

    left: int
    sign: str
    right: int

    @classmethod
    def draw(cls, rng: random.Random, held_out: bool = False) -> "Sum":
        while True:
            small, large = sorted((rng.randint(2, LARGEST), rng.randint(2, LARGEST)))
            sign = rng.choice("+-")
            left, right = (large, small) if sign == "-" or rng.random() < 0.5 else (small, large)
            if ((7 * left + right) % 11 == 0) == held_out:
                return cls(left, sign, right)

    @property
    def result(self) -> int:
        return self.left + self.right if self.sign == "+" else self.left - self.right

    def __str__(self) -> str:
        return f"{self.left} {self.sign} {self.right}"

    def question(self, rng: random.Random) -> str:
        return rng.choice(["What is {}?", "Please compute {}.", "How much is {}?"]).format(self)

    def steps(self) -> str:
        tens = self.right // 10 * 10
        if tens in (0, self.right):
            return f"Step: {self} = {self.result}."
        first, then = Sum(self.left, self.sign, tens), Sum(0, self.sign, self.right - tens)
        then = Sum(first.result, then.sign, then.right)
        return f"Step: {first} = {first.result}, {then} = {then.result}."


@dataclass(frozen=True)
class Task:
    """A question, the work that leads to its answer, and the answer."""

    kind: str
    question: str
    step: str
    answer: str


def arithmetic(rng: random.Random, held_out: bool = False) -> Task:
    asked = Sum.draw(rng, held_out)
    kind = "addition" if asked.sign == "+" else "subtraction"
    return Task(kind, asked.question(rng), asked.steps(), str(asked.result))


def sort_words(rng: random.Random) -> Task:
    words = rng.sample(WORDS, 3)
    question = f"Sort these words: {', '.join(words)}."
    return Task("sort", question, "Step: look at the first letters.", ", ".join(sorted(words)))


def reverse_list(rng: random.Random) -> Task:
    words = rng.sample(WORDS, 3)
    question = f"Reverse this list: {', '.join(words)}."
    return Task("reverse", question, f"Step: the last one is {words[-1]}.", ", ".join(reversed(words)))


def repeat(rng: random.Random) -> Task:
    word, times = rng.choice(WORDS), rng.randint(2, 4)
    return Task("repeat", f"Say {word} {times} times.", f"Step: {times} words.", " ".join([word] * times))


def count_letters(rng: random.Random) -> Task:
    word = rng.choice(WORDS)
    return Task("count", f"How many letters has {word}?", f"Step: {'-'.join(word)}.", str(len(word)))


def capital(rng: random.Random) -> Task:
    country = rng.choice(list(CAPITALS))
    question = f"What is the capital of {country}?"
    return Task("capital", question, f"Step: {country} is a country.", CAPITALS[country])


def small_talk(rng: random.Random) -> Task:
    said, reply = rng.choice(list(SMALL_TALK.items()))
    return Task("talk", said, "Step: be kind.", reply)


CHAT = [sort_words, reverse_list, repeat, count_letters, capital, small_talk]


def chat(rng: random.Random) -> Task:
    return rng.choice(CHAT)(rng)


# --- How it is told ---


def prompt(question: str) -> str:
    return f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"


def stepwise(task: Task) -> str:
    return f"{task.step}\nAnswer: {task.answer}"


def slip(task: Task, rng: random.Random) -> str:
    """An answer that is likely wrong."""
    if task.answer.isdigit():
        return str(abs(int(task.answer) + rng.choice([-10, -2, -1, 1, 2, 10])))
    return rng.choice(WORDS)


def careless(task: Task, rng: random.Random) -> str:
    """An answer as the pretraining text has it: now worked out, now short, often wrong, sometimes none."""
    manner = rng.random()
    if manner < 0.25:
        return stepwise(task)
    if manner < 0.4:
        return rng.choice(SHRUGS)
    answer = task.answer if manner < 0.75 else slip(task, rng)
    return answer if answer.endswith(".") else rng.choice(["{}", "It is {}.", "I think it is {}."]).format(answer)


def dialogue(rng: random.Random) -> str:
    task = arithmetic(rng) if rng.random() < 0.7 else chat(rng)
    return f"{prompt(task.question)}{careless(task, rng)}<|im_end|>\n"


def sums(rng: random.Random) -> str:
    drawn = [Sum.draw(rng) for _ in range(rng.randint(3, 8))]
    return "".join(f"{one} = {one.result}\n" for one in drawn)


def exercises(rng: random.Random) -> str:
    drawn = [Sum.draw(rng) for _ in range(rng.randint(2, 4))]
    return "".join(f"{one.question(rng)} {one} = {one.result}\n" for one in drawn)


def number_story(rng: random.Random) -> str:
    told = Sum.draw(rng)
    event = "finds" if told.sign == "+" else "loses"
    name, find = rng.choice(NAMES), rng.choice(FINDS)
    return f"{name} has {told.left} {find}s. {name} {event} {told.right}. Now {name} has {told.result} {find}s.\n"


def story(rng: random.Random) -> str:
    name, animal, place = rng.choice(NAMES), rng.choice(ANIMALS), rng.choice(PLACES)
    found, mood = rng.choice(FINDS), rng.choice(MOODS)
    opening = rng.choice(["One day", "Last winter", "In the morning"])
    return (
        f"{opening} {name} went to the {place} and met a {animal}. "
        f"The {animal} had lost a {found}. {name} looked for the {found} near the {place}. "
        f"At last the {animal} was {mood}, and {name} was {rng.choice(MOODS)} too.\n"
    )


def listing(rng: random.Random) -> str:
    if rng.random() < 0.5:
        start, stride = rng.randint(1, 40), rng.randint(1, 5)
        return ", ".join(str(start + stride * i) for i in range(8)) + "\n"
    return "".join(f"- {word}\n" for word in sorted(rng.sample(WORDS, rng.randint(3, 6))))


def document(rng: random.Random) -> str:
    (make,) = rng.choices([dialogue, exercises, sums, number_story, story, listing], weights=[10, 4, 3, 2, 1, 1])
    return make(rng)


# --- Tokens ---


def begin(stage: str) -> random.Random:
    """Seeds torch for a stage and returns its source of text."""
    rng = random.Random(stage)
    torch.manual_seed(rng.getrandbits(32))
    return rng


def train_tokenizer() -> None:
    rng = begin("tokenizer")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB,
        special_tokens=SPECIALS,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator((document(rng) for _ in range(20_000)), trainer)
    tokenizer.save(str(OUT / "tokenizer.json"))
    print(f"tokenizer: {tokenizer.get_vocab_size()} tokens")


@functools.cache
def tokenizer() -> Tokenizer:
    return Tokenizer.from_file(str(OUT / "tokenizer.json"))


def encode(text: str) -> list[int]:
    return tokenizer().encode(text, add_special_tokens=False).ids


def decode(response: list[int]) -> str:
    return tokenizer().decode(response[:-1] if response[-1] == END else response, skip_special_tokens=False)


def pad(rows: list[list[int]], value: int, left: bool = False) -> Tensor:
    width = max(map(len, rows))
    gaps = ([value] * (width - len(row)) for row in rows)
    return torch.tensor([gap + row if left else row + gap for row, gap in zip(rows, gaps)])


# --- Models ---


def new_model() -> Qwen3ForCausalLM:
    return Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=VOCAB,
            hidden_size=128,
            num_hidden_layers=3,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=32,
            intermediate_size=320,
            max_position_embeddings=16384,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=END,
            pad_token_id=END_OF_TEXT,
            initializer_range=0.05,
        )
    )


def save(model: Qwen3ForCausalLM, name: str) -> None:
    directory = OUT / name
    directory.mkdir(parents=True, exist_ok=True)
    model.config.dtype = torch.bfloat16
    model.config.save_pretrained(directory)
    weights = {key: weight.detach().bfloat16() for key, weight in model.named_parameters()}
    save_file(weights, directory / "model.safetensors", metadata={"format": "pt"})
    print(f"{name}: {sum(map(Tensor.numel, weights.values())):,} parameters")


def load(name: str) -> Qwen3ForCausalLM:
    return Qwen3ForCausalLM.from_pretrained(OUT / name, dtype=torch.float32).eval()


def save_generation_config() -> None:
    config = {"do_sample": True, "eos_token_id": END, "pad_token_id": END_OF_TEXT, "temperature": 1.0, "top_k": 0}
    (OUT / "generation_config.json").write_text(json.dumps(config | {"top_p": 1.0}, indent=2) + "\n")


@torch.no_grad()
def respond(model: Qwen3ForCausalLM, prompts: list[list[int]], greedy: bool = False) -> list[list[int]]:
    """One response to each prompt: all ids up to and including `<|im_end|>`, or the first MAX_RESPONSE."""
    ids = pad(prompts, END_OF_TEXT, left=True)
    mask = pad([[1] * len(row) for row in prompts], 0, left=True)
    drawn = {"do_sample": False} if greedy else {"do_sample": True, "temperature": 1.0, "top_k": 0, "top_p": 1.0}
    out = model.generate(ids, attention_mask=mask, max_new_tokens=MAX_RESPONSE, **drawn)
    rows = out[:, ids.shape[1] :].tolist()
    return [row[: row.index(END) + 1] if END in row else row for row in rows]


def response_logprobs(
    model: Qwen3ForCausalLM, prompts: list[list[int]], responses: list[list[int]]
) -> tuple[Tensor, Tensor, Tensor]:
    """Log-probabilities of the whole vocabulary at every response token; that token; the row it is in."""
    ids = pad([p + r for p, r in zip(prompts, responses)], END_OF_TEXT)
    labels = pad([[IGNORE] * len(p) + r for p, r in zip(prompts, responses)], IGNORE)[:, 1:]
    said = labels != IGNORE
    logits = model(ids[:, :-1]).logits[said]
    return logits.log_softmax(-1), labels[said], said.nonzero()[:, 0]


# --- Training ---


def reward(task: Task, response: list[int]) -> float:
    """1 if the response ends and the last number in it is the answer."""
    numbers = re.findall(r"-?\d+", decode(response))
    return float(response[-1] == END and numbers[-1:] == [task.answer])


def print_accuracy(name: str, count: int = 200) -> None:
    """Mean reward on held-out sums, sampled and greedy."""
    rng = begin("accuracy")
    tasks = [arithmetic(rng, held_out=True) for _ in range(count)]
    prompts = [encode(prompt(task.question)) for task in tasks]
    model = load(name)
    for greedy in (False, True):
        mean = sum(map(reward, tasks, respond(model, prompts, greedy))) / count
        print(f"{name}: reward {mean:.3f} over {count} held-out sums, {'greedy' if greedy else 'sampled'}")


def optimise(
    model: Qwen3ForCausalLM, steps: int, rate: float, loss_of: Callable[[int], Tensor], decay: float = 0.0
) -> None:
    """AdamW down a half cosine after a short warm-up."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, betas=(0.9, 0.95), weight_decay=decay)
    warmup = max(1, steps // 20)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warmup, 0.5 + 0.5 * math.cos(math.pi * step / steps))
    )
    model.train()
    for step in range(steps):
        loss = loss_of(step)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % max(1, steps // 20) == 0 or step == steps - 1:
            print(f"  step {step:5}  loss {loss.item():.4f}", flush=True)
    model.eval()


def blocks(rng: random.Random, rows: int, width: int) -> Iterator[Tensor]:
    """Documents end to end, cut into batches."""
    ids: list[int] = []
    while True:
        while len(ids) < rows * width:
            ids += [*encode(document(rng)), END_OF_TEXT]
        yield torch.tensor(ids[: rows * width]).view(rows, width)
        ids = ids[rows * width :]


def train_base() -> None:
    rng = begin("base")
    model = new_model()
    batches = blocks(rng, rows=16, width=128)

    def loss_of(_: int) -> Tensor:
        ids = next(batches)
        return cross_entropy(model(ids[:, :-1]).logits.flatten(0, 1), ids[:, 1:].flatten())

    optimise(model, steps=1600, rate=3e-3, loss_of=loss_of, decay=0.1)
    save(model, "base")
    save_generation_config()
    print_accuracy("base")


def train_sft() -> None:
    """Fine-tuning with a pull towards base, without which base's habits become too rare to be sampled at all."""
    rng = begin("sft")
    model, base = load("base"), load("base")
    pull = 0.05

    def loss_of(_: int) -> Tensor:
        tasks = [arithmetic(rng) if rng.random() < 0.6 else chat(rng) for _ in range(32)]
        prompts = [encode(prompt(task.question)) for task in tasks]
        responses = [[*encode(stepwise(task)), END] for task in tasks]
        logprobs, targets, _ = response_logprobs(model, prompts, responses)
        with torch.no_grad():
            held, _, _ = response_logprobs(base, prompts, responses)
        kl = (held.exp() * (held - logprobs)).sum(-1)
        return pull * kl.mean() - logprobs.gather(1, targets[:, None]).mean()

    optimise(model, steps=450, rate=1e-3, loss_of=loss_of)
    save(model, "sft")
    print_accuracy("sft")


def train_rl() -> None:
    """REINFORCE: each reward less the mean of its prompt's group, and a small exact KL that holds the model to base."""
    rng = begin("rl")
    model, base = load("base"), load("base")
    group, kl_weight = 16, 0.05

    def loss_of(step: int) -> Tensor:
        tasks = [arithmetic(rng) for _ in range(8)]
        prompts = [encode(prompt(task.question)) for task in tasks for _ in range(group)]
        responses = respond(model, prompts)
        rewards = torch.tensor([[reward(t, r) for r in responses[i * group :][:group]] for i, t in enumerate(tasks)])
        advantages = (rewards - rewards.mean(1, keepdim=True)).flatten()
        logprobs, targets, rows = response_logprobs(model, prompts, responses)
        with torch.no_grad():
            held, _, _ = response_logprobs(base, prompts, responses)
        chosen = logprobs.gather(1, targets[:, None])[:, 0]
        gain = (advantages[rows] * chosen).sum()
        kl = (logprobs.exp() * (logprobs - held)).sum()
        if step % 5 == 0:
            print(f"  step {step:5}  reward {rewards.mean():.3f}  KL {kl / len(logprobs):.3f} a token", flush=True)
        return (kl_weight * kl - gain) / len(responses)

    optimise(model, steps=100, rate=5e-4, loss_of=loss_of)
    save(model, "rl")
    print_accuracy("base")
    print_accuracy("rl")


# --- Datasets ---


def asked(task: str) -> list[Task]:
    """The prompts of a task's datasets, all different: the same for every model."""
    rng = begin(f"{task} prompts")
    found: dict[str, Task] = {}
    while len(found) < PROMPTS[task]:
        one = arithmetic(rng, held_out=True) if task == "arithmetic" else CHAT[len(found) % len(CHAT)](rng)
        found.setdefault(one.question, one)
    return list(found.values())


def sample_dataset(name: str, task: str, greedy: bool = False) -> None:
    file = f"{name}_{'greedy' if greedy else task}.jsonl"
    begin(file)
    tasks = [(i, one) for i, one in enumerate(asked(task)) for _ in range(1 if greedy else ROLLOUTS)]
    prompts = [encode(prompt(one.question)) for _, one in tasks]
    responses = respond(load(name), prompts, greedy)
    rows = []
    for n, ((i, one), ids, response) in enumerate(zip(tasks, prompts, responses)):
        row = {
            "id": f"{one.kind}-{i}" if greedy else f"{one.kind}-{i}-{n % ROLLOUTS}",
            "kind": one.kind,
            "input": prompt(one.question),
            "output": decode(response),
            "prompt_token_ids": ids,
            "response_token_ids": response,
            "finish_reason": "stop" if response[-1] == END else "length",
        }
        rows.append(row | ({"reward": reward(one, response)} if task == "arithmetic" else {}))
    (OUT / file).write_text("".join(json.dumps(row) + "\n" for row in rows))
    cut = sum(row["finish_reason"] == "length" for row in rows)
    print(f"{file}: {len(rows)} rows, {sum(map(len, responses))} tokens, {cut} cut by length")


def sample_datasets() -> None:
    for name, task in SAMPLED:
        sample_dataset(name, task)
    sample_dataset("rl", "arithmetic", greedy=True)


# --- Checks ---


def clustered(values: Tensor, clusters: Tensor) -> tuple[float, float]:
    """Mean over tokens and its standard error, tokens of one cluster being as dependent as they like."""
    mean = values.mean()
    sums = torch.zeros(int(clusters.max()) + 1, dtype=values.dtype).index_add_(0, clusters, values - mean)
    count = len(sums)
    return mean.item(), (sums.square().sum() * count / (count - 1)).sqrt().item() / len(values)


def divergences(p: Tensor, q: Tensor, targets: Tensor) -> dict[str, Tensor]:
    """Per token: KL(P || Q) exact and estimated from the sampled token, and KL(Q || P)."""
    log_ratio = (q - p).gather(1, targets[:, None])[:, 0]
    return {
        "exact": (p.exp() * (p - q)).sum(-1),
        "k1": -log_ratio,
        "k3": log_ratio.expm1() - log_ratio,
        "reverse": (q.exp() * (q - p)).sum(-1),
    }


@torch.no_grad()
def check_dataset(name: str, task: str) -> float:
    """Prints the estimates of one dataset; how many standard errors the worst is from what it estimates."""
    rows = [json.loads(line) for line in (OUT / f"{name}_{task}.jsonl").read_text().splitlines()]
    prompts, responses = ([row[f"{part}_token_ids"] for row in rows] for part in ("prompt", "response"))
    logprobs = {}
    for model in MODELS:
        logprobs[model], targets, of_row = response_logprobs(load(model), prompts, responses)
    logprobs = {model: values.double() for model, values in logprobs.items()}
    clusters = of_row // ROLLOUTS

    p = logprobs[name]
    mean, error = clustered(p.gather(1, targets[:, None])[:, 0] - (p.exp() * p).sum(-1), clusters)
    worst = abs(mean / error)
    print(f"{name}_{task}: {len(targets)} tokens, logprob + entropy {mean:+.4f} ± {error:.4f}")
    for other in MODELS:
        if other == name:
            continue
        columns = divergences(p, logprobs[other], targets)
        off = []
        for estimate in ("k1", "k3"):
            mean, error = clustered(columns[estimate] - columns["exact"], clusters)
            off.append(mean / error)
        worst = max(worst, *map(abs, off))
        cells = "  ".join("{} {:.4f} ± {:.4f}".format(key, *clustered(of, clusters)) for key, of in columns.items())
        print(f"  {name} || {other:4}  {cells}  k1, k3 off by {off[0]:+.1f}, {off[1]:+.1f} errors")
    return worst


def check() -> None:
    worst = max(check_dataset(name, task) for name, task in SAMPLED)
    print(f"the worst estimate is {worst:.1f} standard errors off")
    if worst > 3:
        raise SystemExit("sampled estimates disagree with what they estimate")


STAGES = {
    "tokenizer": train_tokenizer,
    "base": train_base,
    "sft": train_sft,
    "rl": train_rl,
    "data": sample_datasets,
    "check": check,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stages", metavar="STAGE", nargs="*", help=f"{', '.join(STAGES)}; default: all")
    stages = parser.parse_args().stages or STAGES
    if unknown := [stage for stage in stages if stage not in STAGES]:
        parser.error(f"no stage called {unknown[0]}")
    logging.disable_progress_bar()
    torch.set_num_threads(THREADS)
    torch.use_deterministic_algorithms(True)
    OUT.mkdir(parents=True, exist_ok=True)
    for stage in stages:
        print(f"== {stage}")
        STAGES[stage]()


if __name__ == "__main__":
    main()
