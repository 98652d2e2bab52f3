"""The glossary: terms of the book in English and Chinese, a sentence for each, and the page that explains it.

The Chinese is what Chinese readers of the official repositories and of textbooks write; names of models and methods
stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass

PAGES = {
    "0": "chapters/00_start_here", "1": "chapters/01_tokens", "2": "chapters/02_blank_infilling",
    "3": "chapters/03_feed_forward", "4": "chapters/04_norms", "5": "chapters/05_deepnorm",
    "6": "chapters/06_rotary", "7": "chapters/07_two_clocks", "8": "chapters/08_attention_scores",
    "9": "chapters/09_masks", "10": "chapters/10_heads_and_groups", "11": "chapters/11_the_whole_model",
    "12": "chapters/12_train_a_tiny_glm", "13": "chapters/13_kv_cache", "14": "chapters/14_p_tuning",
    "15": "chapters/15_quantization", "16": "chapters/16_looking_inside", "17": "chapters/17_capstone",
    "parity ledger": "appendix/parity_ledger", "several devices": "appendix/several_devices",
}  # fmt: skip

# English | Chinese | what it is | a key of PAGES
_TERMS = """
ablation | 消融 | What a part writes is replaced by nothing or by its mean, to see what the model misses. | 16
activation function | 激活函数 | The curve that each number of the feed-forward passes, for example GELU. | 3
all-reduce | 全归约 | A sum over several devices, handed to each of them. | several devices
alpha | 残差系数 | The factor in front of the normalized stream in ChatGLM-6B's residual. | 5
attention | 注意力 | The part of a block in which a token reads other tokens. | 9
autoregressive | 自回归 | Writing one token at a time, each from those before it. | 2
batch | 批次 | Texts that go through the network side by side. | 0
bfloat16 | 脑浮点数（bfloat16） | A number in two bytes that reaches as far as float32, in coarser steps. | 8
bias | 偏置 | Numbers that a linear layer adds to its product. | 0
blank infilling | 自回归填空 | GLM's training: a piece of a text is cut out and written anew from what is around it. | 2
block | 层（块） | Attention and feed-forward with their norms and residuals; a network is a stack of equal blocks. | 0
block position | 块内位置 | ChatGLM-6B's second clock: 0 in the context, counting inside the answer. | 7
causal mask | 因果掩码 | Each token sees itself and what stands before it. | 9
checkpoint | 检查点 | The files of a trained model: its config, its weights, its tokenizer. | 17
config | 配置 | The choices that a model is built by: its sizes, its norm, its mask and so on. | 0
context | 上下文 | What a model reads before it answers; in ChatGLM-6B, all tokens before `<sop>` stand in it. | 9
cosine | 余弦相似度 | How nearly two vectors point the same way: 1 is the same direction, 0 a right angle. | 0
couplet | 一联（两句） | Two lines of a poem, of which the second answers the first. | 7
cross-entropy | 交叉熵 | The mean of -ln p, where p is what the right token got. | 12
decoder | 解码器 | A stack in which a token sees its past alone. | 0
DeepNorm | DeepNorm | A post-norm whose residual is scaled by alpha. | 5
donor | 供体 | The run that patching takes a tensor from. | 16
dropout | 随机失活 | While training, some numbers are left out at random. | 14
dtype | 数据类型 | The format that numbers are stored in, for example float16. | 8
eager attention | 逐步计算的注意力 | Attention that stores its table of scores, so that maps can be recorded. | 8
embedding | 词嵌入 | The table with a row of numbers for each id; also such a row. | 0
encoder | 编码器 | A stack in which tokens see each other in both directions. | 0
`<eop>`, end of piece | 片段结束标记 | The token that says that the missing piece is complete. | 2
eps | 防除零小常数 | What a norm adds under its root, so that it never divides by 0. | 4
feed-forward network | 前馈网络 | The part of a block that works on each token alone: wider, and back. | 3
fine-tuning | 微调 | Training that goes on from a finished model, on other texts. | 14
float16 | 半精度浮点数 | A number in two bytes; what is too large for it becomes infinite. | 8
float32 | 单精度浮点数 | A number in four bytes; most comparisons with official outputs are made in it. | 0
fused kernel | 融合算子 | Attention that goes through the keys in pieces and never stores the table of scores. | 8
gate | 门控 | In SwiGLU, the half that decides how much of the other half passes. | 3
GELU | 高斯误差线性单元 | An activation function: x times the chance that a normal variable lies below x. | 3
`[gMASK]` | 生成掩码标记 | The mask token for the rest of a text, and so for an answer. | 2
gradient | 梯度 | The derivative of the loss by each weight. | 12
gradient checkpointing | 梯度检查点 | In training, a block's inside is forgotten, then computed again going back. | 11
greedy generation | 贪心解码 | The likeliest token is taken each time. | 0
group of heads | 注意力头分组 | Heads that share keys and values. | 10
grouped-query attention, GQA | 分组查询注意力 | Heads share keys and values in groups. | 10
head of attention | 注意力头 | A slice of the vector that attends on its own. | 10
head of the network | 输出层 | The last table, whose products with a token's vector are its logits. | 0
held-out | 留出数据 | What no training step has seen, kept to measure with. | 12
hidden size | 隐藏维度 | How many numbers a token's vector has in the stream. | 0
hidden state | 隐藏状态 | The stream at some depth, as the official code hands it out. | 11
infilling | 填空 | Writing what is missing between two sides. | 2
int8, int4 | 8 位与 4 位整数 | A whole number in a byte, and in half a byte. | 15
interval | 置信区间 | Where a mean stays in 95 of 100 draws from the same texts. | 12
inverse frequency | 逆频率 | How far a pair turns with each position. | 6
kernel | 算子 | A routine of the processor that does several steps in one; of a notebook, what runs its cells. | 15
key | 键 | What a token offers to be found by: a query is multiplied with it. | 8
KV cache | 键值缓存 | Keys and values of the tokens so far, kept for the next one. | 13
label | 标签 | The token that the model ought to say at a place; -100 counts for nothing. | 2
language model | 语言模型 | A network that gives each token a chance to come next. | 0
layer norm, LayerNorm | 层归一化 | A token's vector is centred and divided by its standard deviation. | 4
learning rate | 学习率 | How far a training step moves the weights. | 12
linear layer | 线性层 | A product with a matrix of weights, and often a bias. | 0
logit lens | logit 透镜 | The final norm and the head, applied to the stream of an earlier block. | 16
logits | 未归一化分数（logits） | A score for each token of the vocabulary, before softmax. | 0
LoRA | 低秩适配 | Fine-tuning of two thin matrices beside a large one that stays as it is. | 11
loss | 损失 | What training makes small: how far the model is from saying its labels. | 2
mapped file | 内存映射文件 | A file whose parts come into memory when they are used, and not before. | 17
mask | 掩码 | The table of who may look at whom. | 9
`[MASK]` | 掩码标记 | The token that stands for a missing piece. | 2
meta device | 元设备 | Where PyTorch builds tensors that have a shape and no numbers. | 0
multi-head attention, MHA | 多头注意力 | Several heads side by side, each with keys and values of its own. | 10
multi-query attention, MQA | 多查询注意力 | All heads share one set of keys and values. | 10
NaN | 非数 | Not a number: what 0 / 0 gives, and what is computed from it. | 4
nat | 奈特 | The unit of a loss with the natural logarithm. | 2
n-gram | n 元语法 | A table of how often characters follow each other. | 12
norm | 归一化 | What brings each token's vector to one size before it is read. | 4
optimizer | 优化器 | What moves each weight by its gradient, here AdamW. | 12
overflow | 溢出 | A number becomes larger than its type can hold. | 8
padding | 填充 | Tokens that bring the rows of a batch to one length and that nobody may see. | 9
parameter | 参数 | A number inside a network that training adjusts. | 0
parity | 数值一致 | Equal to the official outputs, tensor by tensor. | parity ledger
Part A, Part B | A 部分与 B 部分 | The text with its blanks, and behind it the pieces that fill them. | 2
patching | 激活修补 | A tensor of one run is put into another run, to see what it carries. | 16
perplexity | 困惑度 | e to the power of the loss: among how many tokens the model is undecided. | 15
piece | 子词片段 | An entry of a vocabulary; also the part of a text that fills a blank. | 1
planted mistake | 植入的错误 | A change to the package that a comparison has to notice. | parity ledger
position | 位置编号 | The number that says where a token stands. | 7
post-norm | 后归一化 | The sum of the residual is normalized. | 5
prefix | 前缀 | In a mask, what every token may see; in P-tuning, the trained rows in front. | 14
prefix encoder | 前缀编码器 | The trained keys and values of P-tuning v2, and what makes them. | 14
prefix mask | 前缀掩码 | Everybody sees the whole context; behind it the mask is causal. | 9
prefix projection | 前缀投影 | Two linears that make the rows of a prefix from another table. | 14
pre-norm | 前归一化 | What a sub-layer reads is normalized, the stream itself is not. | 5
pre-training | 预训练 | The first and longest training, on much text. | 12
prompt | 提示词 | What the model is given before it writes. | 1
prompt format | 提示词格式 | How a question and its marks are laid out, so that the model knows where to answer. | 1
P-tuning v2 | P-Tuning v2 | Training keys and values in front of the text, with the model itself left as it is. | 14
quantization | 量化 | Weights are written as small whole numbers and scales. | 15
quatrain | 绝句 | A poem of four lines. | 7
query | 查询 | What a token asks with: it is multiplied with the keys. | 8
query-key layer scaling | 查询键分层缩放 | Divide by the layer's number, and multiply by it after the product. | 8
rank | 进程编号 | One of the processes that share a model, and its number. | several devices
relu | 线性整流函数 | An activation function: a number above 0 passes, another becomes 0. | 3
residual connection | 残差连接 | What a sub-layer makes is added to something, not put in its place. | 5
residual stream | 残差流 | The vector of a token on its way through the blocks. | 4
revision | 修订版本 | The state of a file that was read or run, named by its commit. | parity ledger
RMSNorm | 均方根归一化 | A token's vector is divided by the root of its mean square, without centring. | 4
role | 对话角色 | Who speaks in a chat of ChatGLM3-6B: system, user, assistant, or a tool. | 1
rotary base | 旋转编码基数 | The number that sets how fast each pair turns, 10000 unless a config says otherwise. | 6
rotary position embedding | 旋转位置编码 | Query and key are turned by angles that grow with the position. | 6
round | 对话轮次 | A question and its answer in a chat. | 1
sampling | 采样 | The next token is drawn by chance. | 13
scale | 缩放因子 | The number that whole numbers are multiplied with to stand for weights. | 15
score | 注意力分数 | How well a query and a key fit. | 8
seed | 随机种子 | The number that random draws start from, so that they can be repeated. | 12
sequence | 序列 | The tokens of one text in their order. | 0
shape | 形状 | The lengths of a tensor's axes. | 0
shard | 分片 | One of the files that a large checkpoint is split into. | 17
SiLU | SiLU 激活函数 | An activation function: x times its sigmoid. | 3
softmax | softmax 归一化指数函数 | Scores become positive weights that sum to 1. | 8
`<sop>`, start of piece | 片段起始标记 | The token behind which the missing piece is written. | 2
special token | 特殊标记 | A token that is no text, and that steers the model. | 1
stale | 失效（缓存） | Of a cached key or value: no longer what a fresh pass would make. | 13
stand-in | 替身 | A small model or file in the layout of a real one that is not here. | 17
step | 步 | In training, one move of the weights; in generation, one token. | 12
stop id | 停止符 | The id that ends generation. | 13
streaming | 流式输出 | Each token is handed out as soon as it is made. | 13
strict loading | 严格加载 | A checkpoint is refused unless all names and shapes are as expected. | 17
sub-layer | 子层 | Attention or feed-forward: one of the two parts of a block. | 5
surprise | 惊异度 | -ln p for the token that really comes, in nats: less is better. | 3
SwiGLU | SwiGLU 门控激活 | SiLU of the gate, times the other half. | 3
Tang GLM | 唐诗 GLM | The small ChatGLM-6B of this book, trained on poems; Tang GLM 2 is its ChatGLM2-6B. | 0
temperature | 温度 | What logits are divided by before a token is drawn: less than 1 sharpens. | 13
tensor | 张量 | An array of numbers with any number of axes. | 0
tensor parallelism | 张量并行 | Each device holds a part of every matrix. | several devices
tied head | 共享权重的输出层 | A head whose table is the embedding itself. | 11
token | 词元 | A piece of text, or a mark, that the model reads as one id. | 0
tokenizer | 分词器 | What cuts a text into tokens and puts it together again. | 1
tolerance | 容差 | How far a number may lie from the official one, with a reason. | parity ledger
top-k | top-k 采样 | Only the k likeliest tokens can be drawn. | 13
top-p | 核采样 | Only the likeliest tokens that together reach p can be drawn. | 13
transformer | Transformer 架构 | A network of blocks in which tokens read each other by attention. | 0
two clocks | 二维位置编码 | The two positions of a token in ChatGLM-6B: in the context, and in the answer. | 7
unit | 单元 | One of the places in the middle of the feed-forward, with its row and its column. | 3
value | 值 | What a token hands on to those that look at it. | 8
vocabulary | 词表 | All tokens that a tokenizer knows. | 1
warm-up | 预热 | The first steps of training, over which the learning rate climbs. | 12
weight | 权重 | A number of a matrix in the network; also a share in an average. | 0
"""


@dataclass(frozen=True)
class Term:
    """A term in both languages, what it is, and the page of the book, without its ending."""

    english: str
    chinese: str
    meaning: str
    where: str
    page: str

    @property
    def link(self) -> str:
        """A Markdown link from an appendix to the page."""
        name = f"chapter\xa0{self.where}" if self.where.isdigit() else self.where
        return f"[{name}](../{self.page}.ipynb)"


def _read(line: str) -> Term:
    english, chinese, meaning, where = (part.strip() for part in line.split(" | "))
    return Term(english, chinese, meaning, where, PAGES[where])


TERMS = tuple(map(_read, _TERMS.strip().splitlines()))


def glossary() -> str:
    """The terms as a Markdown table, for a page among the appendices."""
    rows = (f"| **{term.english}** | {term.chinese} | {term.meaning} {term.link} |" for term in TERMS)
    return "\n".join(["| term | 中文 | what it is |", "|---|---|---|", *rows])
