# SPDX-License-Identifier: Apache-2.0
"""验证说明: how a stranger verifies an export, in Chinese and English; it goes into every one."""

from __future__ import annotations

ZH = """# 验证说明

本文件包（.hwcase）是一个 ZIP 压缩包，任何人不安装 Headwater 即可核验。

## 需要什么

- Python 3.11 以上和第三方库 cryptography；无需联网。
- 单文件核验程序 headwater-verify.pyz。请从独立渠道取得，不要使用与本文件包一同收到的副本。

## 怎样核验

    python headwater-verify.pyz {name}

手头有在外部保存的凭证（登记表上印刷的链首一行、时间戳文件、见证回执）的，一并给出：

    python headwater-verify.pyz --against "{head}" {name}

退出码：0 全部相符；1 有不可主张之处；5 有不符。

## 核验什么

1. 文件：清单由案件密钥签名，每个文件的长度与 SHA-256 与清单一致，没有多余文件。
2. 台账：每条记录的序号、前一条哈希、自身哈希、签名；检查点对条数、链首与 Merkle 根的签名。
   未公开的记录只留哈希与叶值，位置与签名仍可核验。
3. 锚定：RFC 3161 时间戳逐级核验到随附的根证书；见证回执核验签名；台账与其所证一致。
   时间戳只证明“不晚于”；根证书是否可信，请自行比对其 SHA-256。
4. 内容：报告、发现、登记检材与台账记载的校验值一致；提取陈述（in-toto、DSSE）的签名。

## 不能证明什么

- 没有外部凭证时，掌握案件密钥的人重写整个台账不能被发现。
- 锚定之前发生的事情、提取之前检材的真实性，须另行审查。
- 本文件包不含检材时，发现所引的字节须持检材用 headwater verify 重新推导。

本包条数 {size}，链首 {hash}，Merkle 根 {root}。
本报告是检验/分析报告，不是鉴定意见。
"""

EN = """# How to verify

This package (.hwcase) is a ZIP file. Anybody can verify it without installing Headwater.

## What it takes

- Python 3.11 or later and the package cryptography; no network.
- The verifier headwater-verify.pyz, one file. Get it by a way of your own, not together with this package.

## How

    python headwater-verify.pyz {name}

If you hold a statement kept outside (the line printed on a register, a timestamp file, a witness's receipt), give it:

    python headwater-verify.pyz --against "{head}" {name}

Exit code: 0 everything holds; 1 something cannot be claimed; 5 something failed.

## What is verified

1. Files: the manifest is signed by the case's key; every file has the size and SHA-256 listed; there is no other file.
2. Ledger: number, previous hash, own hash and signature of every entry; the signature of checkpoints over size, head and
   Merkle root. An entry kept back leaves its hash and leaf: place and signature still verify.
3. Anchors: RFC 3161 timestamps up to the enclosed root certificate; receipts of witnesses; the ledger against both.
   A timestamp proves "not later than". Whether to trust the root is yours to say: compare its SHA-256.
4. Contents: report, findings and items against the digests in the ledger; the signatures of the acquisition statements
   (in-toto, DSSE).

## What is not proved

- Without a statement from outside, a holder of the case's key who wrote the whole ledger anew is not found out.
- What happened before the anchor, and whether the source was genuine before it was acquired, is reviewed apart.
- Where the evidence is not enclosed, the bytes cited by findings are derived again with headwater verify, by who holds it.

This package: {size} entries, head {hash}, Merkle root {root}.
It is an examination report, not a judicial expert opinion.
"""
