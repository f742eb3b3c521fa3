// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Enumerations of the attn dialect: positions, normalizers, dimension orders.

#ifndef SACCADE_ATTN_ATTRS_TD
#define SACCADE_ATTN_ATTRS_TD

include "dialects/Attn/AttnDialect.td"
include "mlir/IR/EnumAttr.td"

def Attn_Position : I32EnumAttr<"Position", "what a body may know of its place", [
    I32EnumAttrCase<"query", 0>, I32EnumAttrCase<"key", 1>,
    I32EnumAttrCase<"head", 2>, I32EnumAttrCase<"request", 3>,
    I32EnumAttrCase<"q_len", 4>, I32EnumAttrCase<"kv_len", 5>,
    I32EnumAttrCase<"slot", 6>, I32EnumAttrCase<"query_first", 7>,
    I32EnumAttrCase<"query_last", 8>]> {
  let cppNamespace = "::saccade::attn";
  let genSpecializedAttr = 0;
}
def Attn_PositionAttr : EnumAttr<Attn_Dialect, Attn_Position, "position"> {
  let assemblyFormat = "`<` $value `>`";
}
def Attn_PositionArrayAttr
    : TypedArrayAttrBase<Attn_PositionAttr, "positions a body asks for">;

def Attn_Normalizer : I32EnumAttr<"Normalizer", "how weights come from logits", [
    I32EnumAttrCase<"softmax", 0>, I32EnumAttrCase<"sigmoid", 1>,
    I32EnumAttrCase<"none", 2>]> {
  let cppNamespace = "::saccade::attn";
  let genSpecializedAttr = 0;
}
def Attn_NormalizerAttr : EnumAttr<Attn_Dialect, Attn_Normalizer, "normalizer"> {
  let assemblyFormat = "`<` $value `>`";
}

def Attn_Order : I32EnumAttr<"Order", "order of token and head dimensions", [
    I32EnumAttrCase<"NHD", 0>, I32EnumAttrCase<"HND", 1>]> {
  let cppNamespace = "::saccade::attn";
  let genSpecializedAttr = 0;
}

#endif // SACCADE_ATTN_ATTRS_TD
