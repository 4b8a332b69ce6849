// The product of a Monarch matrix with rows as an operator of torch, torch.ops.monarch.linear, with its
// gradients: to the kernel and back without Python in between, which on few rows would take longer than
// the product itself.

#include <ATen/Parallel.h>
#include <array>
#include <c10/core/impl/LocalDispatchKeySet.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;
using MaybeTensor = std::optional<Tensor>;
using Multiply = void (*)(const int64_t *sizes, const float *x, const float *L, const float *R,
                          const float *bias, float *z, float *y, int threads);
using Gradients = void (*)(const int64_t *sizes, const float *g, const float *x, const float *L,
                           const float *R, const float *z, float *dx, float *dL, float *dR,
                           float *dbias, int threads);
// Those of monarch_linear.h, of the kernel that is in use.
Multiply multiply_rows = nullptr;
Gradients gradients_of_rows = nullptr;

// A tensor in the memory of the CPU, of torch itself, that holds its numbers as they are.
bool is_plain(const Tensor &t) {
    using Key = c10::DispatchKey;
    constexpr c10::DispatchKeySet plain(
        {Key::CPU, Key::AutogradCPU, Key::AutocastCPU, Key::ADInplaceOrView});
    return t.scalar_type() == at::kFloat && plain.has_all(t.key_set()) && !t._fw_grad(0).defined();
}

std::array<int64_t, 7> sizes_of(const Tensor &x, const Tensor &L, const Tensor &R, int64_t n_out) {
    const int64_t n_in = x.size(-1);
    return {x.numel() / n_in, L.size(0), L.size(1), L.size(2), R.size(2), n_in, n_out};
}

bool fit(const Tensor &x, const Tensor &L, const Tensor &R, const Tensor &bias, int64_t n_in,
         int64_t n_out) {
    if (x.dim() == 0 || x.numel() == 0 || L.dim() != 3 || R.dim() != 3) return false;
    const auto [_, N, s, h, a, found_in, __] = sizes_of(x, L, R, n_out);
    return found_in == n_in && R.size(0) == N && R.size(1) == h && N * (a - 1) < n_in &&
           n_in <= N * a && N * (s - 1) < n_out && n_out <= N * s &&
           (!bias.defined() || (bias.dim() == 1 && bias.size(0) == n_out));
}

const float *numbers(const Tensor &t) { return t.defined() ? t.const_data_ptr<float>() : nullptr; }

float *room(const Tensor &t) { return t.defined() ? t.mutable_data_ptr<float>() : nullptr; }

Tensor contiguous(const Tensor &t) { return t.defined() ? t.contiguous() : t; }

Tensor product(const Tensor &x, const Tensor &L, const Tensor &R, const Tensor &bias, int64_t n_out,
               Tensor *z = nullptr) {
    const Tensor given[] = {contiguous(x), contiguous(L), contiguous(R), contiguous(bias)};
    auto shape = x.sizes().vec();
    shape.back() = n_out;
    const Tensor y = at::empty(shape, x.options());
    const auto sizes = sizes_of(x, L, R, n_out);
    if (z) *z = at::empty({L.size(0), sizes[0], L.size(2)}, x.options());
    multiply_rows(sizes.data(), numbers(given[0]), numbers(given[1]), numbers(given[2]),
                      numbers(given[3]), z ? room(*z) : nullptr, room(y), at::get_num_threads());
    return y;
}

struct MonarchLinear : torch::autograd::Function<MonarchLinear> {
    static Tensor forward(AutogradContext *context, const Tensor &x, const Tensor &L,
                          const Tensor &R, const MaybeTensor &maybe_bias, int64_t n_out) {
        at::AutoDispatchBelowADInplaceOrView below;
        const Tensor bias = maybe_bias.value_or(Tensor());
        Tensor z;
        const Tensor y = product(x, L, R, bias, n_out, L.requires_grad() ? &z : nullptr);
        context->save_for_backward({x, L, R, bias, z});
        return y;
    }

    static variable_list backward(AutogradContext *context, variable_list grads) {
        const auto saved = context->get_saved_variables();
        const Tensor &x = saved[0], &L = saved[1], &R = saved[2], &bias = saved[3], &z = saved[4];
        std::array<bool, 4> needed;
        for (int i = 0; i < 4; ++i)
            needed[i] = saved[i].defined() && context->needs_input_grad(i);
        variable_list found(5);
        if (at::GradMode::is_enabled() || !is_plain(grads[0])) {
            static const auto formula =
                c10::Dispatcher::singleton()
                    .findSchemaOrThrow("monarch::linear_gradients", "")
                    .typed<variable_list(const Tensor &, const Tensor &, const Tensor &,
                                         const Tensor &, const MaybeTensor &,
                                         std::array<bool, 4>)>();
            const auto left = formula.call(grads[0], x, L, R, bias, needed);
            for (int i = 0, next = 0; i < 4; ++i)
                if (needed[i]) found[i] = left[next++];
            return found;
        }
        const Tensor given[] = {contiguous(grads[0]), contiguous(x), contiguous(L), contiguous(R)};
        const auto sizes = sizes_of(x, L, R, grads[0].size(-1));
        for (int i = 0; i < 4; ++i)
            if (needed[i]) found[i] = at::empty(saved[i].sizes(), given[0].options());
        gradients_of_rows(sizes.data(), numbers(given[0]), numbers(given[1]),
                              numbers(given[2]), numbers(given[3]), numbers(z), room(found[0]),
                              room(found[1]), room(found[2]), room(found[3]),
                              at::get_num_threads());
        return found;
    }
};

// M x + bias, or no tensor where one of these is not what the kernel takes.
Tensor linear(const Tensor &x, const Tensor &L, const Tensor &R, const MaybeTensor &maybe_bias,
                int64_t n_in, int64_t n_out) {
    const Tensor bias = maybe_bias.value_or(Tensor());
    bool learns = false;
    for (const Tensor &t : {x, L, R, bias}) {
        if (t.defined() && !is_plain(t)) return {};
        learns = learns || (t.defined() && t.requires_grad());
    }
    if (!fit(x, L, R, bias, n_in, n_out)) return {};
    if (learns && at::GradMode::is_enabled()) return MonarchLinear::apply(x, L, R, maybe_bias, n_out);
    return product(x, L, R, bias, n_out);
}

} // namespace

// Makes the operator, once in a process, and has it use these functions of the kernel.
extern "C" void use_kernel(void *multiply, void *gradients) {
    multiply_rows = reinterpret_cast<Multiply>(multiply);
    gradients_of_rows = reinterpret_cast<Gradients>(gradients);
    static const torch::Library library = [] {
        torch::Library made(torch::Library::FRAGMENT, "monarch", std::nullopt, __FILE__, __LINE__);
        made.impl("linear", linear);
        return made;
    }();
}
